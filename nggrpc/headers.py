"""Request headers, response headers and trailers: what a call says in them, and how metadata is encoded.

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

from nggrpc.errors import StatusError
from nggrpc.http2 import Headers
from nggrpc.messages import ENCODINGS


class Metadatum(NamedTuple):
    """One item of metadata; servicers read it as a pair or, as grpcio's, by attributes."""

    key: str
    value: str | bytes


Metadata: TypeAlias = tuple[Metadatum, ...]
Pairs: TypeAlias = Iterable[tuple[str, str | bytes]]

RESPONSE: Headers = ((b":status", b"200"), (b"content-type", b"application/grpc"))
"""The headers of a response without metadata and compression."""

_OK: Headers = ((b"grpc-status", b"0"),)

_CONTENT_TYPE = b"application/grpc"

# A value has at most 8 digits: "TimeoutValue" of the specification.
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

_KEY = re.compile(r"[0-9a-z_.-]+")
_ASCII_VALUE = re.compile(rb"[\x20-\x7e]*")

# Headers of HTTP/2 and of gRPC itself, which are not metadata. A client sends each of the first ones at most once.
_SINGLE = frozenset((b"te", b"content-type", b"grpc-timeout", b"grpc-encoding", b"grpc-message-type"))
_NOT_METADATA = _SINGLE | {b"grpc-accept-encoding"}

# What a handler cannot send as metadata: headers of gRPC, of a message's form, and of the connection. A client has to
# reject a response that has one of the last kind (RFC 9113, section 8.2.2).
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

# HPACK lets a client repeat a large header by some bytes, and commas make many values of one.
_MAX_ITEMS = 200

# How much of what a client has sent is repeated in a status.
_MAX_QUOTED = 64

# RFC 9113, section 6.5.2: what a field costs in a header list, in addition to its name and value.
_FIELD_OVERHEAD_BYTES = 32

# RFC 9113, section 8.2.1: a value neither begins nor ends with a space.
_OUTER_SPACE = re.compile("^ | $")

_UNESCAPED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class HttpError(Exception):
    """A request that is not gRPC's: it is answered with an HTTP status alone."""

    def __init__(self, status: bytes) -> None:
        """Keep the HTTP status."""
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class RequestHead:
    """What the headers of a request say.

    Attributes:
        path: the method, such as "/package.Service/Method".
        timeout: how long the client waits, in seconds; None without a deadline.
        encoding: how messages from the client may be compressed.
        accepted_encodings: how messages to the client may be compressed.
        metadata: the metadata, in the order of the headers.
    """

    path: str
    timeout: float | None
    encoding: str
    accepted_encodings: frozenset[str]
    metadata: Metadata


@functools.lru_cache(maxsize=64)
def parse(headers: tuple[tuple[bytes, bytes], ...], max_bytes: int) -> RequestHead:
    """Return what the headers of a request say; a client sends the same ones again and again, hence the cache.

    Args:
        headers: names and values, as HTTP/2 has them.
        max_bytes: the largest header list that is accepted, by the measure of RFC 9113.

    Raises:
        HttpError: the request is not gRPC's.
        StatusError: the request is gRPC's, but not valid.
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
        raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the metadata has more than {max_bytes} bytes")
    single = [name for name, _ in headers if name in _SINGLE]
    if len(single) != len(set(single)):
        raise StatusError(
            grpc.StatusCode.INTERNAL, "a header that gRPC allows once was sent twice: " + _repeated(single)
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
        raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"the metadata has more than {_MAX_ITEMS} values")
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
        ValueError: a key or value cannot be sent; the message says which, and what can be.
    """
    return [_encoded(key, value) for key, value in metadata]


def _encoded(key: str, value: str | bytes) -> tuple[bytes, bytes]:
    if not _KEY.fullmatch(key) or key in _RESERVED:
        raise ValueError(
            f"metadata key {key!r} cannot be sent; accepted: 0-9 a-z _ . -, but not the keys of gRPC and HTTP"
        )
    if key.endswith(_BINARY):
        if not isinstance(value, bytes):
            raise ValueError(f"metadata {key!r} has to be bytes, since its key ends with {_BINARY}; it is {value!r}")
        return key.encode("ascii"), base64.b64encode(value).rstrip(b"=")
    ascii_value = value.encode() if isinstance(value, str) else value
    if not _ASCII_VALUE.fullmatch(ascii_value):
        raise ValueError(f"metadata {key!r} has to be printable ASCII, or its key to end with {_BINARY}: {value!r}")
    return key.encode("ascii"), ascii_value.strip(b" ")


def response(encoding: str, metadata: Pairs) -> Headers:
    """Return the headers of a response.

    Args:
        encoding: how its messages may be compressed.
        metadata: the initial metadata.

    Raises:
        ValueError: the metadata cannot be sent.
    """
    if encoding == "identity" and not metadata:
        return RESPONSE
    compression = () if encoding == "identity" else ((b"grpc-encoding", encoding.encode("ascii")),)
    return (*RESPONSE, *compression, *encoded(metadata))


def trailers(code: grpc.StatusCode, details: str, metadata: Pairs) -> Headers:
    """Return the headers of a status, which are the last that a call sends.

    Args:
        code: the status code.
        details: a text for the person who reads the status; empty for none.
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
