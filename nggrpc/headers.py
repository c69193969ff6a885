"""Parsing of request headers, and encoding of response headers, trailers and metadata.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import base64
import binascii
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from urllib.parse import quote_from_bytes

import grpc

from nggrpc.errors import NO_RETRY, StatusError
from nggrpc.http2 import Headers
from nggrpc.messages import ENCODINGS


class Metadatum(NamedTuple):
    """One item of metadata; like grpcio's, it is a pair that also has attributes."""

    key: str
    value: str | bytes


Metadata: TypeAlias = tuple[Metadatum, ...]
Pairs: TypeAlias = Iterable[tuple[str, str | bytes]]

RESPONSE: Headers = ((b":status", b"200"), (b"content-type", b"application/grpc"))
"""The response headers without metadata and compression."""

_OK: Headers = ((b"grpc-status", b"0"),)

_CONTENT_TYPE = b"application/grpc"

# A timeout has at most 8 digits ("TimeoutValue" in the specification).
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

_KEY = re.compile(r"[0-9a-z_.-]+")
_ASCII_VALUE = re.compile(rb"[\x20-\x7e]*")

# Headers of HTTP/2 and gRPC that are not metadata. A client may send each header of _SINGLE at most once.
_SINGLE = frozenset((b"te", b"content-type", b"grpc-timeout", b"grpc-encoding", b"grpc-message-type"))
_NOT_METADATA = _SINGLE | {b"grpc-accept-encoding"}

# Headers that a handler cannot send as metadata: those of gRPC, of the content, and of the connection. A client must
# reject a response with a connection-specific header (RFC 9113, section 8.2.2).
_RESERVED = frozenset(
    (
        "connection",
        "content-length",
        "content-type",
        "grpc-accept-encoding",
        "grpc-encoding",
        "grpc-message",
        "grpc-status",
        "grpc-timeout",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    )
)
_BINARY = "-bin"

# Maximum number of metadata values. HPACK repeats a large header in a few bytes, and one comma-separated binary header
# yields many values.
_MAX_ITEMS = 200

# The maximum length of client input that is quoted in a status.
_MAX_QUOTED = 64

# RFC 9113, section 6.5.2: the overhead of a field in the size of a header list.
_FIELD_OVERHEAD_BYTES = 32

# RFC 9113, section 8.2.1: a value neither begins nor ends with a space.
_OUTER_SPACE = re.compile("^ | $")

_UNESCAPED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class HttpError(Exception):
    """A request that is not a gRPC request; its response is only an HTTP status.

    Attributes:
        status: the HTTP status, such as b"405".
    """

    def __init__(self, status: bytes) -> None:
        """Store the HTTP status."""
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class RequestHead:
    """The parsed headers of a request.

    Attributes:
        path: the path of the method, such as "/package.Service/Method".
        timeout: the timeout of the client, in seconds; None without a deadline.
        encoding: the encoding of compressed messages from the client.
        accepted_encodings: the encodings that the client accepts for responses.
        metadata: the metadata, in the order of the headers.
    """

    path: str
    timeout: float | None
    encoding: str
    accepted_encodings: frozenset[str]
    metadata: Metadata


@functools.lru_cache(maxsize=64)
def parse(headers: tuple[tuple[bytes, bytes], ...], max_bytes: int) -> RequestHead:
    """Parse the headers of a request; results are cached, since a client sends the same headers with many calls.

    Args:
        headers: the names and values of the header fields.
        max_bytes: the maximum size of the header list, as defined by RFC 9113.

    Raises:
        HttpError: the request is not a gRPC request.
        StatusError: the request is an invalid gRPC request.
    """
    fields = dict(headers)
    if fields[b":method"] != b"POST":
        raise HttpError(b"405")
    if fields.get(b":scheme") not in {b"http", b"https"}:
        raise HttpError(b"400")
    content_type = fields.get(b"content-type", b"")
    if not content_type.startswith(_CONTENT_TYPE) or content_type[len(_CONTENT_TYPE) :][:1] not in {b"", b"+", b";"}:
        raise HttpError(b"415")
    if sum(len(name) + len(value) + _FIELD_OVERHEAD_BYTES for name, value in headers) > max_bytes:
        details = f"the metadata has more than {max_bytes} bytes"
        raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, details, NO_RETRY)
    single = [name for name, _ in headers if name in _SINGLE]
    if len(single) != len(set(single)):
        raise StatusError(
            grpc.StatusCode.INTERNAL,
            "a header that is allowed only once was sent more than once: " + _repeated(single),
        )
    if fields.get(b"te") != b"trailers":
        raise StatusError(grpc.StatusCode.INTERNAL, "the request has no header `te: trailers`")
    encoding = fields.get(b"grpc-encoding", b"identity").decode("latin-1")
    if encoding not in ENCODINGS:
        supported = ", ".join(ENCODINGS)
        raise StatusError(
            grpc.StatusCode.UNIMPLEMENTED,
            f"grpc-encoding {encoding[:_MAX_QUOTED]!r} is not supported; accepted: {supported}",
            ((b"grpc-accept-encoding", supported.encode()),),
        )
    return RequestHead(
        path=fields[b":path"].decode("latin-1"),
        timeout=_timeout(fields.get(b"grpc-timeout")),
        encoding=encoding,
        accepted_encodings=frozenset(
            name.strip()
            for name in fields.get(b"grpc-accept-encoding", b"").decode("latin-1").split(",", len(ENCODINGS))
        ),
        metadata=_metadata(headers),
    )


def _repeated(names: list[bytes]) -> str:
    return ", ".join(sorted({name.decode("ascii") for name in names if names.count(name) > 1}))


def _timeout(value: bytes | None) -> float | None:
    if value is None:
        return None
    match = _TIMEOUT.fullmatch(value)
    if not match:
        quoted = value[:_MAX_QUOTED].decode("latin-1")
        raise StatusError(
            grpc.StatusCode.INTERNAL,
            f"grpc-timeout {quoted!r} is not valid; accepted: 1 to 8 digits and one of H M S m u n",
        )
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def _metadata(headers: Headers) -> Metadata:
    commas = sum(value.count(b",") for name, value in headers if name.endswith(b"-bin"))
    if len(headers) + commas > _MAX_ITEMS:
        details = f"the metadata has more than {_MAX_ITEMS} values"
        raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, details, NO_RETRY)
    metadata: list[Metadatum] = []
    for name, value in headers:
        if name in _NOT_METADATA or name[:1] == b":":
            continue
        key = name.decode("latin-1")
        if key.endswith(_BINARY):
            metadata += [Metadatum(key, _decoded(key, part)) for part in value.split(b",")]
        elif _ASCII_VALUE.fullmatch(value):
            metadata.append(Metadatum(key, value.decode("ascii")))
        else:
            raise StatusError(
                grpc.StatusCode.INTERNAL, f"the value of metadata {key[:_MAX_QUOTED]!r} is not printable ASCII"
            )
    return tuple(metadata)


def _decoded(key: str, value: bytes) -> bytes:
    digits = value.strip().rstrip(b"=")
    try:
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4), strict_mode=True)
    except binascii.Error as error:
        raise StatusError(
            grpc.StatusCode.INTERNAL, f"the value of metadata {key[:_MAX_QUOTED]!r} is not base64: {error}"
        ) from error


def encoded(metadata: Pairs) -> list[tuple[bytes, bytes]]:
    """Return metadata as headers.

    Raises:
        ValueError: a key or value cannot be sent; the message names the key and what is accepted.
    """
    return [_encoded(key, value) for key, value in metadata]


def _encoded(key: str, value: str | bytes) -> tuple[bytes, bytes]:
    if not _KEY.fullmatch(key) or key in _RESERVED:
        raise ValueError(
            f"metadata key {key!r}: must consist of 0-9 a-z _ . - and must not be a header of gRPC or HTTP"
        )
    if key.endswith(_BINARY):
        if not isinstance(value, bytes):
            raise ValueError(f"metadata {key!r}: value {value!r} must be bytes, since the key ends with {_BINARY}")
        return key.encode("ascii"), base64.b64encode(value).rstrip(b"=")
    ascii_value = value.encode() if isinstance(value, str) else value
    if not _ASCII_VALUE.fullmatch(ascii_value):
        raise ValueError(
            f"metadata {key!r}: value {value!r} must be printable ASCII if the key does not end with {_BINARY}"
        )
    return key.encode("ascii"), ascii_value.strip(b" ")


def response(encoding: str, metadata: Pairs) -> Headers:
    """Return response headers.

    Args:
        encoding: the encoding of compressed responses.
        metadata: the initial metadata.

    Raises:
        ValueError: the metadata cannot be sent.
    """
    if encoding == "identity" and not metadata:
        return RESPONSE
    compression = () if encoding == "identity" else ((b"grpc-encoding", encoding.encode("ascii")),)
    return (*RESPONSE, *compression, *encoded(metadata))


def trailers(code: grpc.StatusCode, details: str, metadata: Pairs) -> Headers:
    """Return the trailers that carry a status.

    Args:
        code: the status code.
        details: the status message; may be empty.
        metadata: the trailing metadata.

    Raises:
        ValueError: the metadata cannot be sent.
    """
    if code is grpc.StatusCode.OK and not details and not metadata:
        return _OK
    headers = [(b"grpc-status", b"%d" % code.value[0])]
    if details:
        message = _OUTER_SPACE.sub("%20", quote_from_bytes(details.encode(errors="replace"), safe=_UNESCAPED))
        headers.append((b"grpc-message", message.encode("ascii")))
    return (*headers, *encoded(metadata))
