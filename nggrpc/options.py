"""Server options, by their gRPC names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

NEVER_MS = 2**31 - 1
"""The value by which gRPC represents an infinite duration."""


@dataclass(frozen=True)
class Options:
    """The options of a server. Defaults are those of gRPC core, except where a comment says otherwise.

    https://grpc.github.io/grpc/core/group__grpc__arg__keys.html

    Attributes:
        reuse_port: whether several processes may listen on the same port.
        max_message_bytes: the maximum size of a request message, before and after decompression.
        max_streams: the maximum number of concurrent streams of a connection.
        max_metadata_bytes: the maximum size of the header list of a request.
        max_idle_ms: the time without calls after which a connection is closed.
        max_age_ms: the age at which a connection is closed, with a random jitter of 10 percent.
        max_age_grace_ms: the time that the calls of a connection may continue after its maximum age.
        keepalive_time_ms: the time without traffic after which a connection is pinged.
        keepalive_timeout_ms: the timeout for the answer to a ping; then the connection is closed.
        min_ping_interval_ms: the minimum interval between pings of a client.
        permit_pings_without_calls: whether this interval also applies without calls, instead of at least 2 hours.
        max_ping_strikes: the number of premature pings that is tolerated before the connection is closed.
        max_connections: the maximum number of connections; further ones wait in the listen queue. The open file limit
            of the process may reduce it.
    """

    # grpcio shares ports by default, which hides the error that a port is in use.
    reuse_port: bool = False
    max_message_bytes: int = 4 * 1024 * 1024
    # gRPC core has no limit. RFC 9113, section 5.1.2, recommends at least 100.
    max_streams: int = 100
    max_metadata_bytes: int = 16 * 1024
    max_idle_ms: int = NEVER_MS
    max_age_ms: int = NEVER_MS
    max_age_grace_ms: int = NEVER_MS
    keepalive_time_ms: int = 7200_000
    keepalive_timeout_ms: int = 20_000
    min_ping_interval_ms: int = 300_000
    permit_pings_without_calls: bool = False
    max_ping_strikes: int = 2
    max_connections: int = 65_536


_NAMES = {
    "grpc.so_reuseport": "reuse_port",
    "grpc.max_receive_message_length": "max_message_bytes",
    "grpc.max_concurrent_streams": "max_streams",
    "grpc.max_metadata_size": "max_metadata_bytes",
    "grpc.max_connection_idle_ms": "max_idle_ms",
    "grpc.max_connection_age_ms": "max_age_ms",
    "grpc.max_connection_age_grace_ms": "max_age_grace_ms",
    "grpc.keepalive_time_ms": "keepalive_time_ms",
    "grpc.keepalive_timeout_ms": "keepalive_timeout_ms",
    "grpc.http2.min_ping_interval_without_data_ms": "min_ping_interval_ms",
    "grpc.keepalive_permit_without_calls": "permit_pings_without_calls",
    "grpc.http2.max_ping_strikes": "max_ping_strikes",
    "nggrpc.max_connections": "max_connections",
}


def read(options: Iterable[tuple[str, Any]]) -> Options:
    """Parse options that are given as pairs of a name and a value.

    Raises:
        ValueError: an option is not supported, or its value is not a non-negative integer.
    """
    values: dict[str, int] = {}
    for name, value in options:
        if name not in _NAMES:
            raise ValueError(f"nggrpc does not support option {name!r}; supported: {', '.join(_NAMES)}")
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"option {name!r} is {value!r}; must be a non-negative integer")
        values[_NAMES[name]] = value
    return Options(**values)  # type: ignore[arg-type] # as in grpcio, a bool is accepted as an int
