"""Builds the gRPC server out of its parts, and binds its port."""

import time
from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

import nggrpc
from server.config import Config, ConfigError
from server.observability.access_log import AccessLog
from server.process import sockets
from server.process.sockets import ListenError, SharedPort
from server.rpc.call import Authenticator
from server.rpc.interceptor import MAX_OPERATIONAL_CALLS, CallInterceptor
from server.services import registry

if TYPE_CHECKING:
    from server.observability.telemetry import Telemetry

_MAX_METADATA_BYTES = 16384

# Room for the calls that are to be refused.
_SPARE_CALLS = 24

# Cloud Run gives a second beyond the default grace: to end the calls that are left, to send the last of their traces,
# and to be gone.
_ENDING_SECONDS = 0.1
_SENDING_SECONDS = 0.5

# How long a client may take to answer a ping of the server.
_MAX_KEEPALIVE_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class BoundServer:
    """A server that has its port.

    Attributes:
        server: the gRPC server, to be started and stopped.
        address: where it listens, with the real port.
        health: what it tells of its health.
        calls: the calls in flight.
        telemetry: what it sends of its calls, if it is asked to.
    """

    server: grpc.Server
    address: str
    health: health.HealthServicer
    calls: CallInterceptor
    telemetry: "Telemetry | None"

    def drain(self, grace: float, delay: float = 0) -> None:
        """Stop: say so by health, after `delay` seconds take no more calls, end those in flight after `grace` more."""
        self.health.enter_graceful_shutdown()
        time.sleep(delay)
        stopped = self.server.stop(grace + _ENDING_SECONDS)
        self.calls.drain(grace)
        stopped.wait()
        if self.telemetry:
            self.telemetry.close(_SENDING_SECONDS)


def _options(config: Config, *, is_shared: bool) -> list[tuple[str, int]]:
    keepalive_timeout_ms = round(min(config.keepalive_time, _MAX_KEEPALIVE_TIMEOUT_SECONDS) * 1000)
    options = [
        # Otherwise a port that another server of the same user holds would be shared with it, silently.
        ("grpc.so_reuseport", int(is_shared)),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        # Of a connection. Those that are refused count in no limit, and would be kept for a client that reads nothing.
        ("grpc.max_concurrent_streams", config.max_concurrent_calls + MAX_OPERATIONAL_CALLS + _SPARE_CALLS),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.max_connection_age_ms", round(config.max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", round(config.max_connection_age_grace * 1000)),
        # Clients may ping idle or not. By default grpc takes one in five minutes, or tells them to go (too_many_pings).
        ("grpc.http2.min_ping_interval_without_data_ms", round(config.min_ping_interval * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        # A client that has vanished without a word would hold its calls until their deadlines.
        ("grpc.keepalive_time_ms", round(config.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", keepalive_timeout_ms),
    ]
    if config.engine == "stock":
        options += [
            # Otherwise gRPC core also counts streams that the client has seen end, but whose memory is not freed yet.
            # It then resets new calls of a client that keeps to the limit: REFUSED_STREAM, without a line in the log.
            ("grpc.http.overload_protection", 0),
            # Otherwise core refuses metadata of more than max_metadata_size at random.
            ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
            # Core waits for the answer to a ping for this time rather than for keepalive_timeout_ms.
            ("grpc.http2.ping_timeout_ms", keepalive_timeout_ms),
            # Otherwise core stops to ping a client that sends no data.
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return options


def build(config: Config, shared: SharedPort | None = None) -> BoundServer:
    """Build a server that has its port but does not answer yet.

    Args:
        config: what it is told.
        shared: the port, if other processes have it too.

    Raises:
        ConfigError: a variable of OpenTelemetry has a value that its SDK does not accept.
        ListenError: the port is taken, or not for this user.
    """
    host, port = (shared.host, shared.port) if shared else (sockets.bindable_host(config.port), config.port)
    telemetry = _telemetry(config)
    start_span = telemetry.start_span if telemetry else None
    is_stock = config.engine == "stock"
    log = AccessLog(config.log_format, config.project, is_batched=not is_stock) if config.access_log else None
    calls = CallInterceptor(config.max_concurrent_calls, config.max_deadline, log, start_span, _authenticator(config))
    # No `maximum_concurrent_rpcs`: the engine would refuse calls by itself, without a reason or a line in the log. The
    # interceptor refuses calls; the spare threads are for that.
    pool = futures.ThreadPoolExecutor(config.max_concurrent_calls + MAX_OPERATIONAL_CALLS + _SPARE_CALLS, "call")
    options = _options(config, is_shared=bool(shared))
    if is_stock:
        server = grpc.server(pool, interceptors=[calls], options=options)
    else:
        server = nggrpc.server(pool, interceptors=[calls], options=options, on_idle=log.flush if log else None)
    health_servicer = _add_services(server, config)
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise ListenError(f"cannot listen on port {port}: {error}") from error
    return BoundServer(server, f"{host}:{port}", health_servicer, calls, telemetry)


def _authenticator(config: Config) -> Authenticator | None:
    if not config.identity:
        return None
    from server.auth.authenticator import IdentityTokens  # noqa: PLC0415 - a tenth of a second, for who asked for it alone

    return IdentityTokens(config.identity)


def _telemetry(config: Config) -> "Telemetry | None":
    if not (config.traces or config.metrics):
        return None
    try:
        from server.observability.telemetry import Telemetry  # noqa: PLC0415 - half a second, for who asked for it alone

        return Telemetry(config.service, traces=config.traces, metrics=config.metrics)
    except Exception as error:  # the SDK fails at its variables in many ways, some of them while it is imported
        raise ConfigError(f"OpenTelemetry does not accept one of its OTEL_ variables: {error}") from error


def _add_services(server: grpc.Server, config: Config) -> health.HealthServicer:
    names = registry.add_to(server)
    # Without a thread of its own, a watch whose client reads nothing would hold the servicer's lock.
    tells_health = health.HealthServicer(experimental_non_blocking=False)
    health_pb2_grpc.add_HealthServicer_to_server(tells_health, server)
    # Google's own probes ask after the health service itself.
    for name in ("", *names, health.SERVICE_NAME):
        tells_health.set(name, health_pb2.HealthCheckResponse.SERVING)
    # reflection.enable_server_reflection would ask whether this is a server of asyncio's, and load that.
    tells_services = reflection.ReflectionServicer([*names, health.SERVICE_NAME, reflection.SERVICE_NAME])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(tells_services, server)  # type: ignore[no-untyped-call]
    if config.channelz:
        from grpc_channelz.v1 import channelz  # noqa: PLC0415 - 2 ms, for who asked for it alone

        channelz.add_channelz_servicer(server)
    return tells_health
