"""Length-prefixed messages and message compression.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md ("Length-Prefixed-Message") and
https://github.com/grpc/grpc/blob/master/doc/compression.md
"""

import io
import zlib
from typing import TypeAlias

import grpc

from nggrpc.errors import NO_RETRY, StatusError

PREFIX_BYTES = 5
"""The size of the prefix of a message: a compression flag and the message length."""

# The wbits argument of zlib: 31 selects the gzip format, 15 the zlib format, which HTTP calls deflate.
_FORMATS = {"gzip": 31, "deflate": 15}

ENCODINGS = ("identity", "deflate", "gzip")
"""The supported message encodings, by their names in grpc-encoding."""

NAMES = {
    grpc.Compression.NoCompression: "identity",
    grpc.Compression.Deflate: "deflate",
    grpc.Compression.Gzip: "gzip",
}
"""The encoding for each value of grpc.Compression."""


Message: TypeAlias = tuple[int, bytes]
"""A message as it is sent: the compression flag (0 or 1), and the bytes without the prefix."""


def prefix(flag: int, size: int) -> bytes:
    """Return the prefix of a message of `size` bytes."""
    return (flag << 32 | size).to_bytes(PREFIX_BYTES, "big")


def encoded(data: bytes, encoding: str = "identity") -> Message:
    """Return `data` as a message, compressed unless the encoding is identity."""
    if encoding == "identity":
        return 0, data
    compressor = zlib.compressobj(wbits=_FORMATS[encoding])
    return 1, compressor.compress(data) + compressor.flush()


def decoded(message: Message, encoding: str, max_bytes: int) -> bytes:
    """Return the decompressed bytes of a message.

    Args:
        message: the message.
        encoding: the encoding of the call, one of `ENCODINGS`; applies if the compression flag is set.
        max_bytes: the largest accepted size after decompression.

    Raises:
        StatusError: the message is too large or cannot be decompressed.
    """
    flag, data = message
    if flag == 0:
        return data
    if flag != 1:
        raise StatusError(grpc.StatusCode.INTERNAL, f"a message has compression flag {flag}; must be 0 or 1")
    if encoding == "identity":
        raise StatusError(grpc.StatusCode.INTERNAL, "a message is compressed, but the call has no grpc-encoding")
    decompressor = zlib.decompressobj(wbits=_FORMATS[encoding])
    try:
        decompressed = decompressor.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise StatusError(grpc.StatusCode.INTERNAL, f"a message is not valid {encoding}: {error}") from error
    check_size(len(decompressed), max_bytes)
    if not decompressor.eof or decompressor.unused_data:
        raise StatusError(grpc.StatusCode.INTERNAL, f"a message is not exactly one complete {encoding} stream")
    return decompressed


def check_size(size: int, max_bytes: int) -> None:
    """Check that a message is not too large.

    Raises:
        StatusError: `size` exceeds `max_bytes`.
    """
    if size > max_bytes:
        raise StatusError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"a request message has {size} bytes or more; this server accepts up to {max_bytes}",
            NO_RETRY,
        )


class Reader:
    """A parser that splits a request body into messages, independently of DATA frame boundaries.

    Messages stay compressed until a handler takes them, so that they occupy only as much memory as flow control has
    counted for them.

    Args:
        max_bytes: the largest accepted message, without its prefix.

    Attributes:
        completed: the number of messages returned so far.
    """

    __slots__ = ("_max_bytes", "_partial", "_prefix", "_remaining", "completed")

    def __init__(self, max_bytes: int) -> None:
        """Start at the beginning of a body."""
        self._max_bytes = max_bytes
        self.completed = 0
        self._prefix = b""
        self._remaining = 0
        self._partial = io.BytesIO()  # its getvalue() does not copy the bytes

    @property
    def is_at_boundary(self) -> bool:
        """Whether all bytes so far belong to complete messages."""
        return not self._prefix

    def read(self, data: bytes) -> list[Message]:
        """Process more bytes of the body, and return the messages that they complete.

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
                self._remaining = int.from_bytes(self._prefix[1:], "big")
                check_size(self._remaining, self._max_bytes)
            part = data[position : position + self._remaining]
            position += len(part)
            self._remaining -= len(part)
            if self._remaining:
                self._partial.write(part)
            else:
                messages.append((self._prefix[0], self._completed(part)))
                self._prefix = b""
        self.completed += len(messages)
        return messages

    def _completed(self, part: bytes) -> bytes:
        """Return the current message, of which `part` is the last piece."""
        if not self._partial.tell():
            return part
        self._partial.write(part)
        message = self._partial.getvalue()
        self._partial = io.BytesIO()
        return message
