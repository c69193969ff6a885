"""Length-prefixed messages and their compression.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md ("Length-Prefixed-Message") and
https://github.com/grpc/grpc/blob/master/doc/compression.md
"""

import zlib

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


def prefixed(message: bytes, encoding: str = "identity") -> bytes:
    """Return a message with its prefix, compressed unless the encoding is identity."""
    if encoding == "identity":
        return b"\0" + len(message).to_bytes(4, "big") + message
    compressor = zlib.compressobj(wbits=_FORMATS[encoding])
    compressed = compressor.compress(message) + compressor.flush()
    return b"\1" + len(compressed).to_bytes(4, "big") + compressed


def content(message: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return a message without its prefix, decompressed.

    Args:
        message: a whole message with its prefix.
        encoding: how compressed messages are compressed: one of `ENCODINGS`.
        max_bytes: the largest message that is accepted after decompression.

    Raises:
        StatusError: the message is too large, or cannot be decompressed.
    """
    flag, data = message[0], message[PREFIX_BYTES:]
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

    The messages keep their prefixes, and stay compressed until a handler takes them: until then they occupy as much
    memory as flow control has counted for them.

    Args:
        max_bytes: the largest message, without its prefix.
    """

    __slots__ = ("_max_bytes", "_partial")

    def __init__(self, max_bytes: int) -> None:
        """Start at the beginning of a body."""
        self._max_bytes = max_bytes
        self._partial: bytearray | None = None

    @property
    def is_at_boundary(self) -> bool:
        """Whether all bytes so far belong to complete messages."""
        return not self._partial

    def read(self, data: bytes) -> list[bytes]:
        """Return the messages that some more bytes complete, with their prefixes.

        Raises:
            StatusError: a message is too large.
        """
        buffer: bytes | bytearray = data
        if self._partial:
            self._partial += data
            buffer = self._partial
        messages = []
        position = 0
        with memoryview(buffer) as view:
            while (end := self._end(buffer, position)) <= len(buffer):
                messages.append(bytes(view[position:end]))
                position = end
        if position == len(buffer):
            self._partial = None
        elif position or buffer is data:
            self._partial = bytearray(buffer[position:])
        return messages

    def _end(self, buffer: bytes | bytearray, position: int) -> int:
        """Return where the message at a position ends, or will end."""
        start = position + PREFIX_BYTES
        if start > len(buffer):
            return start
        length = int.from_bytes(buffer[position + 1 : start], "big")
        check_size(length, self._max_bytes)
        return start + length
