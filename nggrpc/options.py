"""The options of a server, by the names that gRPC has for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

NEVER_MS = 2**31 - 1
"""As long as gRPC has for never."""


@dataclass(frozen=True)
class Options:
    """What can be set; the defaults are gRPC core's unless a comment gives a reason.

    https://grpc.github.io/grpc/core/group__grpc__arg__keys.html

    Attributes:
        reuse_port: whether several processes may listen on the same port.
        max_message_bytes: the largest request message, before and after decompression.
        max_streams: how many streams a connection may have at once.
        max_metadata_bytes: the largest header list of a request.
        max_idle_ms: after how long without calls a connection is closed.
        max_age_ms: after how long a connection is closed; a tenth is added or taken away at random.
        max_age_grace_ms: how long its calls have then.
        keepalive_time_ms: after how long a connection without traffic is pinged.
        keepalive_timeout_ms: how long the answer to a ping may take before the connection is closed.
        min_ping_interval_ms: how often a client may ping.
        permit_pings_without_calls: whether a client may ping as often without calls.
        max_ping_strikes: how many pings too early close the connection.
        max_connections: how many connections there may be; a further one waits in the listen queue. The process's limit
            of open files may allow fewer.
    """

    # grpcio's default is to share, which hides that a port is taken.
    reuse_port: bool = False
    max_message_bytes: int = 4 * 1024 * 1024
    # Core has no limit. RFC 9113, section 5.1.2, recommends at least 100.
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
    """Return the options of a list of names and values.

    Raises:
        ValueError: nggrpc does not have an option of that name, or the value is not an integer of at least 0.
    """
    values: dict[str, int] = {}
    for name, value in options:
        if name not in _NAMES:
            raise ValueError(f"nggrpc has no option {name!r}; accepted: {', '.join(_NAMES)}")
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"option {name!r} is {value!r}; accepted: integers of at least 0")
        values[_NAMES[name]] = value
    return Options(**values)  # type: ignore[arg-type] # bool is an int here, as in grpc
