"""Builds the gRPC server from its parts and binds its port."""

import time
from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

import nggrpc
from server.config import Config, ConfigError
from server.observability.access_log import AccessLog
from server.process.sockets import ListenError, ReservedPort
from server.rpc.call import Authenticator
from server.rpc.interceptor import MAX_OPERATIONAL_CALLS, CallInterceptor
from server.services import operational, registry
from server.services.operational import HealthServicer

if TYPE_CHECKING:
    from server.observability.telemetry import Telemetry

_MAX_METADATA_BYTES = 16384

# Threads and streams in excess of the call limits, so that the interceptor can refuse calls.
_SPARE_CALLS = 24

# Cloud Run kills an instance 10 s after SIGTERM, 1 s after the default grace. In this second, the server aborts the
# remaining calls, exports the last telemetry, and exits. If the calls end earlier, the export has more time.
_ABORT_SECONDS = 0.1
_EXPORT_SECONDS = 0.5

# The maximum time that a client has to acknowledge a ping of the server.
_MAX_KEEPALIVE_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class BoundServer:
    """A server whose port is bound.

    Attributes:
        server: the gRPC server.
        address: the addresses that it listens on, with the actual port number, separated by commas.
        health: the health service.
        interceptor: tracks the calls in flight.
        telemetry: exports traces and metrics; None if both are off.
    """

    server: grpc.Server
    address: str
    health: HealthServicer
    interceptor: CallInterceptor
    telemetry: "Telemetry | None"

    def drain(self, grace: float, delay: float = 0) -> None:
        """Shut down gracefully.

        Args:
            grace: the time that calls in flight have to finish before they are aborted, in seconds.
            delay: the time during which new calls are still accepted, in seconds. Meanwhile, the health status is
                NOT_SERVING.
        """
        ends = time.monotonic() + delay + grace + _ABORT_SECONDS + _EXPORT_SECONDS
        self.health.enter_graceful_shutdown()
        time.sleep(delay)
        stopped = self.server.stop(grace + _ABORT_SECONDS)
        self.interceptor.drain(grace)
        stopped.wait()
        if self.telemetry:
            self.telemetry.close(max(_EXPORT_SECONDS, ends - time.monotonic()))


def _options(config: Config, *, is_shared: bool) -> list[tuple[str, int]]:
    keepalive_timeout_ms = round(min(config.keepalive_time, _MAX_KEEPALIVE_TIMEOUT_SECONDS) * 1000)
    options = [
        # If 1, the server would silently share the port with another server of the same user.
        ("grpc.so_reuseport", int(is_shared)),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        # Per connection. Needed in addition to the call limits: a refused call counts against none of them, but holds
        # memory until the client reads its status.
        ("grpc.max_concurrent_streams", config.max_concurrent_calls + MAX_OPERATIONAL_CALLS + _SPARE_CALLS),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.max_connection_age_ms", round(config.max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", round(config.max_connection_age_grace * 1000)),
        # Clients may ping with or without calls. By default, gRPC closes connections (too_many_pings) that ping more
        # than once in five minutes.
        ("grpc.http2.min_ping_interval_without_data_ms", round(config.min_ping_interval * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        # Without keepalive, the calls of a client that has silently disappeared would last until their deadlines.
        ("grpc.keepalive_time_ms", round(config.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", keepalive_timeout_ms),
    ]
    if config.engine == "stock":
        options += [
            # Otherwise gRPC core counts streams that the client sees as closed, but whose memory is not freed yet,
            # towards max_concurrent_streams, and refuses new calls (REFUSED_STREAM, unlogged) from a client that is
            # within the limit.
            ("grpc.http.overload_protection", 0),
            # Otherwise gRPC core randomly rejects metadata larger than max_metadata_size.
            ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
            # gRPC core uses this timeout for pings instead of keepalive_timeout_ms.
            ("grpc.http2.ping_timeout_ms", keepalive_timeout_ms),
            # Otherwise gRPC core stops sending pings to a client that sends no data.
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return options


def build(config: Config, shared: ReservedPort | None = None) -> BoundServer:
    """Build a server and bind its port, but do not start it.

    Args:
        config: the configuration.
        shared: the port, if other processes listen on it too.

    Raises:
        ConfigError: the OpenTelemetry SDK does not accept the value of one of its variables.
        HostError: a host is not a name or an address of this machine.
        ListenError: the port is in use, or this user may not listen on it.
    """
    # Reserved first, since grpcio's own errors have several lines and do not contain the reason.
    reserved = shared or ReservedPort(config.hosts, config.port)
    telemetry = _telemetry(config)
    start_span = telemetry.start_span if telemetry else None
    is_stock = config.engine == "stock"
    log = AccessLog(config.log_format, config.project, is_batched=not is_stock) if config.access_log else None
    interceptor = CallInterceptor(
        config.max_concurrent_calls, config.max_deadline, log, start_span, _authenticator(config)
    )
    # Not `maximum_concurrent_rpcs`: the engine would refuse calls itself, without a reason or a line in the log.
    # The interceptor refuses them instead, using the spare threads.
    pool = futures.ThreadPoolExecutor(config.max_concurrent_calls + MAX_OPERATIONAL_CALLS + _SPARE_CALLS, "call")
    options = _options(config, is_shared=bool(shared))
    if is_stock:
        server = grpc.server(pool, interceptors=[interceptor], options=options)
    else:
        server = nggrpc.server(pool, interceptors=[interceptor], options=options, on_idle=log.flush if log else None)
    health_servicer = _add_services(server, config)
    for address in reserved.addresses:
        try:
            server.add_insecure_port(address)
        except RuntimeError as error:
            raise ListenError(f"cannot listen on {address}: {error}") from error
    reserved.close()
    return BoundServer(server, str(reserved), health_servicer, interceptor, telemetry)


def _authenticator(config: Config) -> Authenticator | None:
    if not config.identity:
        return None
    from server.auth.authenticator import IdentityTokens  # noqa: PLC0415 - takes 0.1 s, so only when enabled

    return IdentityTokens(config.identity)


def _telemetry(config: Config) -> "Telemetry | None":
    if not (config.traces or config.metrics):
        return None
    try:
        from server.observability.telemetry import Telemetry  # noqa: PLC0415 - takes 0.5 s, so only when enabled

        return Telemetry(config.service, traces=config.traces, metrics=config.metrics)
    except Exception as error:  # the SDK raises many kinds of errors for invalid variables, some while it is imported
        raise ConfigError(f"an OTEL_ environment variable is invalid: {error}") from error


def _add_services(server: grpc.Server, config: Config) -> HealthServicer:
    health_servicer = operational.add_to(server, registry.add_to(server))
    if config.channelz:
        from grpc_channelz.v1 import channelz  # noqa: PLC0415 - takes 2 ms, so only when enabled

        channelz.add_channelz_servicer(server)
    return health_servicer
