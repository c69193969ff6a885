"""Tests of a server with grpcio's client: what servicers, interceptors and clients can do with grpc.server."""

import gzip
import os
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import h2.connection
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from h2.settings import SettingCodes

import nggrpc
from nggrpc import connection as connections
from testing import programs, timeouts

Behavior = Callable[..., Any]
UNARY = grpc.unary_unary_rpc_method_handler


# A deadline in seconds that expires during the call, but long after the handler has begun.
SHORT = timeouts.SLOWDOWN


@contextmanager
def serving(
    methods: "dict[str, grpc.RpcMethodHandler[Any, Any]]", address: str = "localhost:0", **options: Any
) -> Iterator[tuple[grpc.Server, str]]:
    """Serve methods of the service Test, and yield the server and its address."""
    with futures.ThreadPoolExecutor(20) as pool:
        server = nggrpc.server(pool, **options)
        server.add_registered_method_handlers("Test", methods)
        port = server.add_insecure_port(address)
        server.start()
        try:
            yield server, address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
        finally:
            assert server.stop(grace=None).wait(timeouts.SECONDS)


@contextmanager
def connected(methods: "dict[str, grpc.RpcMethodHandler[Any, Any]]", **options: Any) -> Iterator[grpc.Channel]:
    """Serve methods of the service Test, and yield a channel that is connected to the server."""
    with serving(methods, **options) as (_, address), grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeouts.SECONDS)
        yield channel


def call(channel: grpc.Channel, method: str, request: bytes = b"", **options: Any) -> Any:
    """Make a unary call."""
    multi_callable: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/Test/{method}")
    return multi_callable(request, timeout=options.pop("timeout", timeouts.SECONDS), **options)


def started(channel: grpc.Channel, method: str) -> Any:
    """Start a unary call, and return its future."""
    multi_callable: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/Test/{method}")
    return multi_callable.future(b"", timeout=timeouts.SECONDS)


def _echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return request


def failure(channel: grpc.Channel, method: str, request: bytes = b"", **options: Any) -> tuple[grpc.StatusCode, str]:
    """Make a unary call that fails, and return its status code and details."""
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, method, request, **options)
    return failed.value.code(), failed.value.details() or ""


# Where handlers of each kind run.


def _thread_name(_request: object, _context: grpc.ServicerContext) -> bytes:
    return threading.current_thread().name.encode()


def _thread_names(_request: object, _context: grpc.ServicerContext) -> Iterator[bytes]:
    yield threading.current_thread().name.encode()


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
def test_only_a_marked_handler_runs_on_the_io_thread(kind: str, is_marked: bool) -> None:
    behavior: Behavior = _thread_names if kind.endswith("stream") else _thread_name

    def method(request: object, context: grpc.ServicerContext) -> Any:
        return behavior(request, context)

    handler = getattr(grpc, f"{kind}_rpc_method_handler")(nggrpc.never_blocks(method) if is_marked else method)
    with connected({"Where": handler}) as channel:
        made = getattr(channel, kind)("/Test/Where")(
            iter([b""]) if kind.startswith("stream") else b"", timeout=timeouts.SECONDS
        )
        name = (next(made) if kind.endswith("stream") else made).decode()
    assert name.startswith("nggrpc") == is_marked


def test_a_handler_that_blocks_in_the_pool_does_not_delay_other_calls() -> None:
    release = threading.Event()

    def block(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        assert release.wait(timeouts.SECONDS)
        return b"released"

    with connected({"Block": UNARY(block), "Where": UNARY(nggrpc.never_blocks(_thread_name))}) as channel:
        blocked = started(channel, "Block")
        assert call(channel, "Where") == b"nggrpc"
        assert not blocked.done()
        release.set()
        assert blocked.result() == b"released"


def test_a_marked_handler_that_blocks_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_SLOW_HANDLER_SECONDS", 0.01)

    @nggrpc.never_blocks
    def sleep(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        time.sleep(0.02)
        return b""

    with connected({"Sleep": UNARY(sleep)}) as channel:
        call(channel, "Sleep")
    assert "/Test/Sleep kept all other calls waiting" in caplog.text


# Servicers, interceptors and generic handlers.


@pytest.mark.parametrize("non_blocking", [True, False])
def test_grpcios_health_servicer_serves_watch(non_blocking: bool) -> None:
    servicer = health.HealthServicer(experimental_non_blocking=non_blocking)
    with serving({}) as (server, address):
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        with grpc.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=timeouts.SECONDS)
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            watch.cancel()


def test_grpcios_reflection_servicer_lists_the_services() -> None:
    with serving({}) as (server, address):
        reflection.enable_server_reflection(["Test", reflection.SERVICE_NAME], server)
        with grpc.insecure_channel(address) as channel:
            assert set(ProtoReflectionDescriptorDatabase(channel).get_services()) == {"Test", reflection.SERVICE_NAME}


class Recorder(grpc.ServerInterceptor):
    """An interceptor that records the details of calls."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, dict[str, Any]]] = []

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.recorded.append((details.method, dict(details.invocation_metadata)))
        return continuation(details)


class OnceRecorder(Recorder):
    """A recorder that is marked @once_per_method."""

    @nggrpc.once_per_method
    def intercept_service(self, continuation: Any, details: Any) -> Any:
        return super().intercept_service(continuation, details)


def test_an_interceptor_is_called_for_each_call_with_its_metadata() -> None:
    recorder = Recorder()
    with connected({"Where": UNARY(_thread_name)}, interceptors=[recorder]) as channel:
        for value in ("1", "2"):
            call(channel, "Where", metadata=(("key", value),))
    assert [(method, metadata["key"]) for method, metadata in recorder.recorded] == [
        ("/Test/Where", "1"),
        ("/Test/Where", "2"),
    ]


def test_an_interceptor_marked_once_per_method_is_called_once() -> None:
    recorder = OnceRecorder()
    with connected({"Where": UNARY(_thread_name)}, interceptors=[recorder]) as channel:
        for _ in range(2):
            call(channel, "Where")
    assert recorder.recorded == [("/Test/Where", {})]


def test_a_generic_handler_serves_a_method_that_is_not_registered() -> None:
    class Generic(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            return UNARY(_thread_name) if details.method == "/Test/Generic" else None

    with connected({}, handlers=[Generic()]) as channel:
        assert call(channel, "Generic")
        assert failure(channel, "Missing") == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


# The context.


METADATA = (("key", "a value"), ("key", "another one"), ("key-bin", b"\0\xff"), ("empty-bin", b""))


@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
def test_metadata_is_sent_and_received(mark: Callable[[Behavior], Behavior]) -> None:
    @mark
    def echo(_request: bytes, context: grpc.ServicerContext) -> bytes:
        sent = tuple((key, value) for key, value in context.invocation_metadata() if key in dict(METADATA))
        context.send_initial_metadata(sent)
        context.set_trailing_metadata(sent)
        return b"well"

    with connected({"Echo": UNARY(echo)}) as channel:
        multi_callable: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/Test/Echo")
        response, made = multi_callable.with_call(b"", metadata=METADATA, timeout=timeouts.SECONDS)
    assert response == b"well"
    assert tuple(made.initial_metadata()) == METADATA
    assert tuple(made.trailing_metadata()) == METADATA


@pytest.mark.parametrize("pair", [("Upper", "x"), ("key", "ü"), ("key-bin", "text"), ("grpc-status", "0"), ("", "x")])
def test_metadata_that_cannot_be_sent_fails_the_call_with_internal_and_a_log_line(
    pair: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    def send(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((pair,))
        return b""

    with connected({"Send": UNARY(send)}) as channel:
        assert failure(channel, "Send")[0] is grpc.StatusCode.INTERNAL
    assert repr(pair[0]) in caplog.text


def test_a_context_has_the_peer_the_deadline_and_the_state_of_the_call() -> None:
    answers: list[Any] = []

    def ask(_request: bytes, context: grpc.ServicerContext) -> bytes:
        answers.extend((context.peer(), context.time_remaining(), context.is_active(), context.code()))  # type: ignore[attr-defined]
        return b""

    with connected({"Ask": UNARY(ask)}, address="127.0.0.1:0") as channel:
        call(channel, "Ask", timeout=timeouts.SECONDS)
        call(channel, "Ask", timeout=None)
    assert answers[0].startswith("ipv4:127.0.0.1:")
    assert 0 < answers[1] <= timeouts.SECONDS + 1  # the client rounds its timeout up
    assert answers[2:4] == [True, None]
    assert answers[5] is None


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_each_status_code_reaches_the_client_with_its_details(code: grpc.StatusCode) -> None:
    def abort(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, "50 % of ünïcode\n")

    with connected({"Abort": UNARY(nggrpc.never_blocks(abort))}) as channel:
        assert failure(channel, "Abort") == (code, "50 % of ünïcode\n")


def test_an_exception_is_unknown_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def crash(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        raise KeyError("x")

    with connected({"Crash": UNARY(crash)}) as channel:
        assert failure(channel, "Crash") == (grpc.StatusCode.UNKNOWN, "Exception calling application: 'x'")
    assert "/Test/Crash raised an exception" in caplog.text


@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_a_stream_that_ends_early_ends_its_handler_and_runs_its_callback(
    how: str, mark: Callable[[Behavior], Behavior]
) -> None:
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    @mark
    def listen(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        context.add_callback(lambda: ended.put(context.code()))  # type: ignore[attr-defined]
        try:
            yield from requests
        except (grpc.RpcError, GeneratorExit):  # the latter if the call ends before the handler reads on
            ended.put("handler")
            raise

    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    requests.put(b"first")
    with connected({"Listen": grpc.stream_stream_rpc_method_handler(listen)}) as channel:
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/Test/Listen")
        made = method(iter(requests.get, None), timeout=SHORT if how == "expired" else timeouts.SECONDS)
        assert next(made) == b"first"
        if how == "cancelled":
            made.cancel()
        with pytest.raises(grpc.RpcError):
            next(made)
        outcome = {ended.get(timeout=timeouts.SECONDS) for _ in range(2)}
        requests.put(None)
    # The client cancels an expired call; the server's own timer may end the call first.
    expired = [grpc.StatusCode.DEADLINE_EXCEEDED] if how == "expired" else []
    assert outcome in [{"handler", code} for code in (grpc.StatusCode.CANCELLED, *expired)]


def test_a_deadline_ends_a_call_whose_handler_does_not_return() -> None:
    ended, active = threading.Event(), []

    def block(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(ended.set)
        assert ended.wait(timeouts.SECONDS)
        active.append(context.is_active())
        return b""

    with connected({"Block": UNARY(block)}) as channel:
        assert failure(channel, "Block", timeout=SHORT)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert active == [False]


def test_cancel_ends_a_call_with_the_code_that_was_set() -> None:
    def cancel(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_code(grpc.StatusCode.DATA_LOSS)
        context.set_details("gone")
        context.cancel()
        return b""

    with connected({"Cancel": UNARY(nggrpc.never_blocks(cancel))}) as channel:
        assert failure(channel, "Cancel")[0] is grpc.StatusCode.DATA_LOSS


# Messages.


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_requests_and_responses_may_be_compressed(compression: grpc.Compression) -> None:
    def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_compression(compression)
        return request

    message = bytes(100_000)
    with connected({"Echo": UNARY(echo)}) as channel:
        assert call(channel, "Echo", message, compression=compression) == message


def test_a_message_that_expands_beyond_the_limit_is_refused() -> None:
    with connected({"Where": UNARY(_thread_name)}, options=[("grpc.max_receive_message_length", 10_000)]) as channel:
        bomb = bytes(10_000_000)
        assert len(gzip.compress(bomb)) < 10_000
        assert failure(channel, "Where", bomb, compression=grpc.Compression.Gzip) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "a request message has 10001 bytes or more; this server accepts up to 10000",
        )


@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
@pytest.mark.parametrize(
    ("request_", "options"),
    [
        (bytes(10_001), {}),
        (bytes(1_000_000), {"compression": grpc.Compression.Gzip}),
        (b"", {"metadata": [("key", "x" * 9000)]}),
    ],
    ids=["message", "compressed message", "metadata"],
)
def test_a_client_is_told_not_to_retry_a_call_that_is_too_large(
    mark: Callable[[Behavior], Behavior], request_: bytes, options: dict[str, Any]
) -> None:
    limits = [("grpc.max_receive_message_length", 10_000), ("grpc.max_metadata_size", 8192)]
    with connected({"Echo": UNARY(mark(_echo))}, options=limits) as channel, pytest.raises(grpc.RpcError) as refused:
        call(channel, "Echo", request_, **options)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers: list[Any] = [(each.key, each.value) for each in refused.value.trailing_metadata()]
    assert ("grpc-retry-pushback-ms", "-1") in trailers


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000, 4 * 1024 * 1024])
@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
def test_messages_of_any_size_up_to_the_limit_are_echoed(size: int, mark: Callable[[Behavior], Behavior]) -> None:
    @mark
    def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
        return request

    unlimited = [("grpc.max_receive_message_length", -1)]
    with (
        serving({"Echo": UNARY(echo)}) as (_, address),
        grpc.insecure_channel(address, options=unlimited) as channel,
    ):
        message = os.urandom(size)
        assert call(channel, "Echo", message) == message


@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
def test_a_handler_gets_all_messages_of_a_long_stream(
    mark: Callable[[Behavior], Behavior],
) -> None:
    size, count = 100_000, 100

    @mark
    def read(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            yield b"%d" % len(request)

    with connected({"Read": grpc.stream_stream_rpc_method_handler(read)}) as channel:
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/Test/Read")
        made = method(iter([bytes(size)] * count), timeout=timeouts.SECONDS)
        assert [int(length) for length in made] == [size] * count


@pytest.mark.parametrize("size", [100, 3_000, 33_000])
@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
def test_a_long_stream_of_responses_is_read_to_its_end(size: int, mark: Callable[[Behavior], Behavior]) -> None:
    @mark
    def repeat(_request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        for _ in range(1000):
            yield bytes(size)

    with connected({"Repeat": grpc.unary_stream_rpc_method_handler(repeat)}) as channel:
        method: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/Test/Repeat")
        assert sum(1 for _ in method(b"", timeout=timeouts.SECONDS)) == 1000


@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
def test_a_message_larger_than_the_window_arrives_after_small_ones_that_wait(
    mark: Callable[[Behavior], Behavior],
) -> None:
    @mark
    def lengths(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            yield b"%d" % len(request)
            if request == b"first" and mark is not nggrpc.never_blocks:  # go on once the large message fills the window
                programs.eventually(lambda: context._call.unacknowledged_bytes > (1 << 18) - 100)

    sizes = [5, 1, 3 << 20]
    with connected({"Lengths": grpc.stream_stream_rpc_method_handler(lengths)}) as channel:
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/Test/Lengths")
        messages = iter((b"first", b"2", bytes(3 << 20)))
        assert [int(length) for length in method(messages, timeout=timeouts.SECONDS)] == sizes


def test_uploads_that_wait_for_a_thread_do_not_block_uploads_that_have_one() -> None:
    def size(requests: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
        return b"%d" % sum(map(len, requests))

    with futures.ThreadPoolExecutor(2) as pool:
        server = nggrpc.server(pool)
        server.add_registered_method_handlers("Test", {"Size": grpc.stream_unary_rpc_method_handler(size)})
        port = server.add_insecure_port("localhost:0")
        server.start()
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            method: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary("/Test/Size")
            uploads = [method.future(iter([bytes(100_000)] * 50), timeout=timeouts.SECONDS) for _ in range(8)]
            assert [upload.result() for upload in uploads] == [b"5000000"] * 8
        assert server.stop(grace=None).wait(timeouts.SECONDS)


class Failing(grpc.ServerInterceptor):
    """An interceptor that fails for one method."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        if details.method == "/Test/Fail":
            raise ValueError("no")
        return continuation(details)


def test_an_interceptor_that_fails_does_not_end_other_calls_of_the_connection() -> None:
    release = threading.Event()

    def block(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        assert release.wait(timeouts.SECONDS)
        return b"released"

    with connected({"Block": UNARY(block)}, interceptors=[Failing()]) as channel:
        blocked = started(channel, "Block")
        assert failure(channel, "Fail")[0] is grpc.StatusCode.UNKNOWN
        release.set()
        assert blocked.result() == b"released"


def test_a_client_that_does_not_answer_pings_is_disconnected_although_its_socket_is_full() -> None:
    ended = threading.Event()

    @nggrpc.never_blocks
    def flood(_request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        context.add_callback(ended.set)
        while context.is_active():
            yield bytes(60_000)

    flooding: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Flood": grpc.unary_stream_rpc_method_handler(flood)}
    options = [("grpc.keepalive_time_ms", 200), ("grpc.keepalive_timeout_ms", 200)]
    with serving(flooding, address="127.0.0.1:0", options=options) as (_, address):
        client = h2.connection.H2Connection()
        client.initiate_connection()
        client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
        client.increment_flow_control_window(2**30)
        headers = [(":method", "POST"), (":scheme", "http"), (":path", "/Test/Flood"), (":authority", "test")]
        client.send_headers(1, [*headers, ("te", "trailers"), ("content-type", "application/grpc")])
        client.send_data(1, bytes(5), end_stream=True)
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as unread:
            unread.sendall(client.data_to_send())
            assert ended.wait(timeouts.SECONDS)


def test_a_failure_of_on_idle_is_logged_and_does_not_stop_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("the log is full")

    with connected({"Where": UNARY(_thread_name)}, on_idle=fail) as channel:
        assert call(channel, "Where")
    assert "the log is full" in caplog.text


# Limits, addresses, shutdown.


def test_a_call_beyond_maximum_concurrent_rpcs_is_refused() -> None:
    has_begun, release = threading.Event(), threading.Event()

    def block(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        has_begun.set()
        assert release.wait(timeouts.SECONDS)
        return b"released"

    with connected({"Block": UNARY(block)}, maximum_concurrent_rpcs=1) as channel:
        blocked = started(channel, "Block")
        assert has_begun.wait(timeouts.SECONDS)
        refused = failure(channel, "Block")
        release.set()
        assert refused == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        assert blocked.result() == b"released"


def test_an_unknown_option_is_an_error_that_lists_the_supported_ones() -> None:
    with pytest.raises(ValueError, match=r"not support option 'grpc\.no_such'; supported: grpc\.so_reuseport, "):
        nggrpc.server(futures.ThreadPoolExecutor(1), options=[("grpc.no_such", 1)])


def test_a_port_in_use_is_an_error() -> None:
    with serving({}) as (_, address), pytest.raises(RuntimeError, match="Address already in use"):
        nggrpc.server(futures.ThreadPoolExecutor(1)).add_insecure_port(address)


def test_tls_is_refused() -> None:
    server = nggrpc.server(futures.ThreadPoolExecutor(1))
    with pytest.raises(NotImplementedError, match="does not support TLS"):
        server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(b"", b"")]))


def test_a_server_may_listen_on_a_unix_socket() -> None:
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,  # the path of a socket has at most 107 bytes
        connected({"Where": UNARY(_thread_name)}, address=f"unix:{folder}/socket") as channel,
    ):
        assert call(channel, "Where")


def test_no_call_is_lost_when_connections_reach_their_maximum_age() -> None:
    peers: set[str] = set()

    @nggrpc.never_blocks
    def note(request: bytes, context: grpc.ServicerContext) -> bytes:
        peers.add(context.peer())
        return request

    with (
        connected({"Note": UNARY(note)}, options=[("grpc.max_connection_age_ms", 50)]) as channel,
        futures.ThreadPoolExecutor(8) as pool,
    ):

        def call_until_connections_have_changed() -> None:
            while len(peers) < 5:
                assert call(channel, "Note", b"here") == b"here"

        for calling in [pool.submit(call_until_connections_have_changed) for _ in range(8)]:
            calling.result(timeouts.SECONDS)


def test_stop_ends_calls_after_the_grace_period_and_refuses_new_connections() -> None:
    has_begun, release = threading.Event(), threading.Event()

    def block(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        has_begun.set()
        release.wait(timeouts.SECONDS)
        return b""

    with serving({"Block": UNARY(block)}) as (server, address), grpc.insecure_channel(address) as channel:
        blocked = started(channel, "Block")
        assert has_begun.wait(timeouts.SECONDS)
        host, _, port = address.rpartition(":")
        stopped = server.stop(grace=0.2)
        assert not stopped.wait(0.05)
        assert blocked.exception().code() is grpc.StatusCode.UNAVAILABLE
        assert stopped.wait(timeouts.SECONDS)
        assert not server.wait_for_termination(timeouts.SECONDS)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
        release.set()
