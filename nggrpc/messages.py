"""Length-prefixed messages and their compression.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md ("Length-Prefixed-Message") and
https://github.com/grpc/grpc/blob/master/doc/compression.md
"""

import io
import zlib
from typing import TypeAlias

import grpc

from nggrpc.errors import StatusError

PREFIX_BYTES = 5
"""What precedes a message: a flag for compression, and its length."""

# What zlib calls wbits: 31 is the gzip format, 15 the zlib format, which HTTP calls deflate.
_FORMATS = {"gzip": 31, "deflate": 15}

ENCODINGS = ("identity", "deflate", "gzip")
"""What a message may be compressed by, by name as in grpc-encoding."""

NAMES = {
    grpc.Compression.NoCompression: "identity",
    grpc.Compression.Deflate: "deflate",
    grpc.Compression.Gzip: "gzip",
}
"""The encoding of each value of grpc.Compression."""


Message: TypeAlias = tuple[int, bytes]
"""A message as it is sent: its flag, which is 1 if it is compressed, and its bytes without the prefix."""


def prefix(flag: int, size: int) -> bytes:
    """Return what precedes a message of some bytes."""
    return (flag << 32 | size).to_bytes(PREFIX_BYTES, "big")


def encoded(data: bytes, encoding: str = "identity") -> Message:
    """Return a message of some bytes, compressed unless the encoding is identity."""
    if encoding == "identity":
        return 0, data
    compressor = zlib.compressobj(wbits=_FORMATS[encoding])
    return 1, compressor.compress(data) + compressor.flush()


def decoded(message: Message, encoding: str, max_bytes: int) -> bytes:
    """Return the bytes of a message, decompressed.

    Args:
        message: the message.
        encoding: how compressed messages are compressed: one of `ENCODINGS`.
        max_bytes: the largest message that is accepted after decompression.

    Raises:
        StatusError: the message is too large, or cannot be decompressed.
    """
    flag, data = message
    if flag == 0:
        return data
    if flag != 1:
        raise StatusError(grpc.StatusCode.INTERNAL, f"a message has flag {flag}; accepted: 0, 1")
    if encoding == "identity":
        raise StatusError(grpc.StatusCode.INTERNAL, "a message is compressed, but the call has no grpc-encoding")
    decompressor = zlib.decompressobj(wbits=_FORMATS[encoding])
    try:
        decompressed = decompressor.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise StatusError(grpc.StatusCode.INTERNAL, f"a message is not valid {encoding}: {error}") from error
    check_size(len(decompressed), max_bytes)
    if not decompressor.eof or decompressor.unused_data:
        raise StatusError(grpc.StatusCode.INTERNAL, f"a message is not one whole {encoding} stream")
    return decompressed


def check_size(size: int, max_bytes: int) -> None:
    """Refuse a message that is too large.

    Raises:
        StatusError: it is.
    """
    if size > max_bytes:
        raise StatusError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"a request message has {size} bytes or more; this server accepts up to {max_bytes}",
        )


class Reader:
    """Splits the body of a request into messages, wherever its DATA frames were split.

    The messages stay compressed until a handler takes them: until then they occupy as much memory as flow control has
    counted for them.

    Args:
        max_bytes: the largest message, without its prefix.

    Attributes:
        completed: how many messages it has returned.
    """

    __slots__ = ("_begun", "_max_bytes", "_missing", "_prefix", "completed")

    def __init__(self, max_bytes: int) -> None:
        """Start at the beginning of a body."""
        self._max_bytes = max_bytes
        self.completed = 0
        self._prefix = b""
        self._missing = 0
        self._begun = io.BytesIO()  # which gives its bytes away without a copy

    @property
    def is_at_boundary(self) -> bool:
        """Whether all bytes so far belong to complete messages."""
        return not self._prefix

    def read(self, data: bytes) -> list[Message]:
        """Return the messages that some more bytes complete.

        Raises:
            StatusError: a message is too large.
        """
        messages: list[Message] = []
        position = 0
        while position < len(data):
            if len(self._prefix) < PREFIX_BYTES:
                start = position
                position += PREFIX_BYTES - len(self._prefix)
                self._prefix += data[start:position]
                if len(self._prefix) < PREFIX_BYTES:
                    break
                self._missing = int.from_bytes(self._prefix[1:], "big")
                check_size(self._missing, self._max_bytes)
            part = data[position : position + self._missing]
            position += len(part)
            self._missing -= len(part)
            if self._missing:
                self._begun.write(part)
            else:
                messages.append((self._prefix[0], self._completed(part)))
                self._prefix = b""
        self.completed += len(messages)
        return messages

    def _completed(self, part: bytes) -> bytes:
        """Return a message that ends with a part."""
        if not self._begun.tell():
            return part
        self._begun.write(part)
        message = self._begun.getvalue()
        self._begun = io.BytesIO()
        return message
