"""Tests of limits: hostile or slow clients use bounded resources, and other clients are still served."""

import asyncio
import contextlib
import gc
import os
import resource
import socket
import threading
import tracemalloc
import weakref
import zlib
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

import nggrpc
from nggrpc import connection as connections
from nggrpc import http2, lifecycle, listeners, runners, transport
from nggrpc.call import MAX_UNSENT_BYTES
from nggrpc.connection import Connection
from nggrpc.grpc_server import Server
from nggrpc.listeners import Listener
from nggrpc.testing.h2_session import H2Session
from nggrpc.testing.memory_client import MemoryClient, Request, drain, prefixed
from testing import programs, timeouts

MEGABYTE = 1 << 20
GZIP = (("grpc-encoding", "gzip"),)

Handlers = dict[str, "grpc.RpcMethodHandler[Any, Any]"]


@nggrpc.never_blocks
def _echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    return request


@nggrpc.never_blocks
def _lengths(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        yield b"%d" % len(request)


HANDLERS: Handlers = {
    "Echo": grpc.unary_unary_rpc_method_handler(_echo),
    "Lengths": grpc.stream_stream_rpc_method_handler(_lengths),
}


def _connection(host: Server) -> Connection:
    """Return a connection of a server that is not started."""
    options = host.options
    return Connection(host, http2.new_session(options.max_streams, options.max_metadata_bytes), "test:", lambda: None)


def _host(handlers: Handlers = HANDLERS, **options: Any) -> Server:
    host = nggrpc.server(futures.ThreadPoolExecutor(1), **options)
    assert isinstance(host, Server)
    host.add_registered_method_handlers("Test", handlers)
    return host


@contextmanager
def _serving(handlers: Handlers = HANDLERS, **options: Any) -> Iterator[int]:
    """Start a server, and yield its port."""
    with futures.ThreadPoolExecutor(10) as pool:
        server = nggrpc.server(pool, **options)
        server.add_registered_method_handlers("Test", handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            assert server.stop(grace=None).wait(timeouts.SECONDS)


@contextmanager
def _blocked_pool() -> Iterator[tuple[Handlers, threading.Semaphore, threading.Event]]:
    """Yield a handler that blocks its thread, a semaphore that it releases at its beginning, and an event that ends it.

    The end of the block sets the event.
    """
    begun, release = threading.Semaphore(0), threading.Event()

    def block(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        begun.release()
        assert release.wait(timeouts.SECONDS)
        return b""

    try:
        yield {"Block": grpc.unary_unary_rpc_method_handler(block)}, begun, release
    finally:
        release.set()


@contextmanager
def _set_at_end(event: threading.Event) -> Iterator[None]:
    """Set an event at the end of the `with` block, before the server in an outer block waits for its handlers."""
    try:
        yield
    finally:
        event.set()


def _echoed(port: int) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/Test/Echo")
        return echo(b"here", timeout=timeouts.SECONDS, wait_for_ready=True) == b"here"


# Messages.


def test_queued_messages_stay_compressed() -> None:
    host = _host()
    connection, client = _connection(host), MemoryClient()
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})  # the responses cannot be sent
    stream_id = client.begin(Request("/Test/Lengths", extra=GZIP, ends=False))
    client.exchange(connection)
    compressor = zlib.compressobj(wbits=31)
    compressed = compressor.compress(bytes(4 * MEGABYTE)) + compressor.flush()
    bomb = b"\1" + len(compressed).to_bytes(4, "big") + compressed
    tracemalloc.start()
    try:
        for _ in range(35):
            client.h2.send_data(stream_id, bomb + prefixed(b"") * 500)  # enough responses to make the handler wait
            client.exchange(connection)
        held, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20 * MEGABYTE
    connection.lose()


@pytest.mark.parametrize("knows_limit", [True, False])
def test_a_client_with_too_many_streams_is_refused_or_disconnected(*, knows_limit: bool) -> None:
    host = _host(options=[("grpc.max_concurrent_streams", 1)])
    connection, client = _connection(host), MemoryClient()
    if knows_limit:
        client.exchange(connection)  # acknowledges the SETTINGS
        client.h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
        client.h2.remote_settings.acknowledge()
    client.begin(Request("/Test/Lengths", ends=False))
    second = client.begin(Request("/Test/Lengths", ends=False))
    client.exchange(connection)
    assert (client.has_goaway, client.responses[second].reset) == (
        (True, None) if knows_limit else (False, ErrorCodes.REFUSED_STREAM)
    )
    connection.lose()


def test_a_second_request_message_of_a_unary_call_is_refused_at_once() -> None:
    host = _host()
    connection, client = _connection(host), MemoryClient()
    stream_id = client.begin(Request("/Test/Echo", prefixed(b"1") + prefixed(b"2"), ends=False))
    client.exchange(connection)
    assert client.responses[stream_id].status == grpc.StatusCode.UNIMPLEMENTED.value[0]
    connection.lose()


@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
def test_a_handler_gets_an_rpc_error_for_a_message_that_is_not_valid_gzip(mark: Callable[[Any], Any]) -> None:
    seen: list[tuple[type[BaseException], bool]] = []

    @mark
    def join(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        try:
            return b"".join(requests)
        except grpc.RpcError as error:
            seen.append((type(error), context.is_active()))
            raise

    with _serving({"Join": grpc.stream_unary_rpc_method_handler(join)}) as port, _connected(port) as (client, link):
        client.begin(Request("/Test/Join", b"\1\0\0\0\2xy", extra=GZIP, ends=False))
        link.sendall(client.h2.data_to_send())
        while not client.responses[1].status:
            client.receive(link.recv(65536))
    assert client.responses[1].status == grpc.StatusCode.INTERNAL.value[0]
    assert seen == [(grpc.RpcError, False)]


def test_incomplete_large_messages_are_refused_beyond_the_memory_limit_and_accepted_later() -> None:
    host = _host(options=[("grpc.max_receive_message_length", 2 * MEGABYTE)])
    host.max_held_bytes = 16 * MEGABYTE  # a connection may use a quarter of this
    connection, client = _connection(host), MemoryClient()
    client.exchange(connection)
    half = prefixed(bytes(2 * MEGABYTE))[:MEGABYTE]

    def begin() -> int:
        stream_id = client.begin(Request("/Test/Echo", ends=False))
        _send(client, connection, stream_id, half)
        return stream_id

    streams = [begin() for _ in range(6)]
    refused = [client.responses[stream_id].status for stream_id in streams]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED.value[0] in refused
    for stream_id, status in zip(streams, refused, strict=True):
        if status is None:
            client.h2.reset_stream(stream_id)
    client.exchange(connection)
    whole = client.begin(Request("/Test/Echo", ends=False))
    _send(client, connection, whole, prefixed(bytes(2 * MEGABYTE)))
    client.h2.end_stream(whole)
    client.exchange(connection)
    assert client.responses[whole].status in {None, 0}
    connection.lose()
    assert not host.held_bytes


def _send(client: MemoryClient, connection: Connection, stream_id: int, body: bytes) -> None:
    """Send bytes of a body as far as flow control allows, unless the call ends."""
    while body and client.responses[stream_id].status is None:
        room = min(client.h2.local_flow_control_window(stream_id), client.h2.max_outbound_frame_size)
        assert room > 0, "the server has closed its window"
        client.h2.send_data(stream_id, body[:room])
        body = body[room:]
        client.exchange(connection)


@pytest.mark.parametrize("end", ["reset", "disconnect"])
def test_requests_of_ended_calls_are_freed_although_the_calls_still_wait_for_a_thread(end: str) -> None:
    with _blocked_pool() as (handlers, _, _):
        host = _host(handlers)
        connection, client = _connection(host), MemoryClient()
        tracemalloc.start()
        try:
            for _ in range(50):
                stream_id = client.begin(Request("/Test/Block", ends=False))
                _send(client, connection, stream_id, prefixed(bytes(MEGABYTE)))
                client.h2.end_stream(stream_id)
                client.exchange(connection)
                if end == "reset":
                    client.h2.reset_stream(stream_id)
                    client.exchange(connection)
                else:
                    connection.lose()
                    connection, client = _connection(host), MemoryClient()
            held, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 10 * MEGABYTE
        connection.lose()


def test_metadata_of_cancelled_calls_that_wait_for_a_thread_is_freed() -> None:
    with _blocked_pool() as (handlers, _, _):
        connection, client = _connection(_host(handlers)), MemoryClient()
        tracemalloc.start()
        try:
            for number in range(500):
                extra = (("x-large", f"{number:010}" * 1000),)
                stream_id = client.begin(Request("/Test/Block", prefixed(b""), extra))
                client.exchange(connection)
                client.h2.reset_stream(stream_id)
                client.exchange(connection)
            held, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 4 * MEGABYTE
        connection.lose()


def test_a_call_is_refused_when_too_many_wait_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_MAX_QUEUED", 3)
    with (
        _blocked_pool() as (handlers, begun, release),
        _serving(handlers) as port,
        _connected(port) as (client, link),
        _set_at_end(release),
    ):
        for _ in range(10):  # the pool has 10 threads
            client.begin(Request("/Test/Block", prefixed(b"")))
            link.sendall(client.h2.data_to_send())
            assert begun.acquire(timeout=timeouts.SECONDS)
        for _ in range(3 + 10):
            client.begin(Request("/Test/Block", prefixed(b"")))
        link.sendall(client.h2.data_to_send())
        while not any(response.status for response in client.responses.values()):
            client.receive(link.recv(65536))
        statuses = [response.status for response in client.responses.values() if response.status is not None]
    assert set(statuses) == {grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
    assert len(statuses) <= 10


def test_a_call_that_has_a_thread_no_longer_counts_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_MAX_QUEUED", 1)
    handlers: Handlers = {"Echo": grpc.unary_unary_rpc_method_handler(lambda request, _context: request)}
    with _serving(handlers) as port, _connected(port) as (client, link):
        for _ in range(5):
            _wait_for_echo(client, link)
    assert {response.status for response in client.responses.values()} == {0}


def test_large_unread_responses_are_refused_beyond_the_memory_limit() -> None:
    host = _host()
    host.max_held_bytes = 16 * MEGABYTE
    connection, client = _connection(host), MemoryClient()
    for _ in range(8):
        stream_id = client.begin(Request("/Test/Echo", ends=False))
        _send(client, connection, stream_id, prefixed(bytes(MEGABYTE)))
        if client.responses[stream_id].status is None:
            client.h2.end_stream(stream_id)
        client.exchange(connection)
    refused = [response for response in client.responses.values() if response.status]
    assert {response.status for response in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
    assert 3 <= len(refused) <= 6
    connection.lose()
    assert not host.held_bytes


def test_a_handler_gets_no_requests_after_its_call_has_ended() -> None:
    taken = []

    @nggrpc.never_blocks
    def note(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        for request in requests:
            taken.append(request)
            context.cancel()
            connection.end_calls(grpc.StatusCode.UNAVAILABLE, "")
        return b""

    host = _host({"Note": grpc.stream_unary_rpc_method_handler(note)})
    connection, client = _connection(host), MemoryClient()
    client.begin(Request("/Test/Note", prefixed(b"1") * 5))
    client.exchange(connection)
    assert taken == [b"1"]
    connection.lose()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_an_exception_of_any_kind_in_a_marked_handler_ends_only_its_call(error: type[BaseException]) -> None:
    @nggrpc.never_blocks
    def fail(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        raise error

    host = _host(HANDLERS | {"Fail": grpc.unary_unary_rpc_method_handler(fail)})
    connection, client = _connection(host), MemoryClient()
    for path in ("Fail", "Echo"):
        client.begin(Request(f"/Test/{path}", prefixed(b"1")))
    client.exchange(connection)
    assert [response.status for response in client.responses.values()] == [grpc.StatusCode.UNKNOWN.value[0], 0]
    connection.lose()


# Windows, sockets and time.


def test_a_connection_that_has_lost_much_of_its_receive_window_is_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MAX_LOST_WINDOW_BYTES", 2 * MEGABYTE)
    host = _host()
    connection, client = _connection(host), MemoryClient()
    client.exchange(connection)
    size = client.h2.max_outbound_frame_size
    for _ in range(8 * MEGABYTE // size):
        stream_id = client.begin(Request("/Test/Lengths", ends=False))
        client.exchange(connection)
        client.h2.send_data(stream_id, bytes(size))
        frame = client.h2.data_to_send()
        connection.receive(frame[: size // 2])
        connection.session.reset_stream(stream_id, http2.ErrorCode.CANCEL)
        client.receive(drain(connection))
        connection.receive(frame[size // 2 :])
        client.receive(drain(connection))
        if client.has_goaway:
            break
    assert client.has_goaway
    assert client.h2.outbound_flow_control_window > MEGABYTE
    connection.lose()


@pytest.mark.parametrize("mark", [nggrpc.never_blocks, lambda method: method], ids=["marked", "in the pool"])
def test_a_handler_waits_while_its_client_does_not_read(mark: Callable[[Any], Any]) -> None:
    sent: list[int] = []

    @mark
    def flood(_request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        while context.is_active():
            sent.append(1000)
            yield bytes(1000)

    with (
        _serving({"Flood": grpc.unary_stream_rpc_method_handler(flood)}) as port,
        _connected(port) as (client, link),
    ):
        client.begin(Request("/Test/Flood", prefixed(b"")))
        link.sendall(client.h2.data_to_send())
        window, max_sent = 65_535, 65_535 + MAX_UNSENT_BYTES + 2000
        while len(client.responses[1].body) < window:  # reads the whole window, and does not open it again
            client.receive(link.recv(65536))
        programs.eventually(lambda: sum(sent) > max_sent - 4000)
        assert sum(sent) <= max_sent


@contextmanager
def _connected(port: int) -> Iterator[tuple[MemoryClient, socket.socket]]:
    client = MemoryClient()
    with socket.create_connection(("127.0.0.1", port), timeouts.SECONDS) as link:
        yield client, link


def test_a_client_that_sends_but_never_reads_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_STALL_SECONDS", 0.2)
    with _serving() as port:
        with _connected(port) as (client, link):
            client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
            client.h2.increment_flow_control_window(2**30)
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                _send_calls(client, link, megabytes=100)
        assert _echoed(port)


def _send_calls(client: MemoryClient, link: socket.socket, megabytes: int) -> None:
    """Send calls without reading their responses; each request fits in one frame."""
    body = prefixed(bytes(10_000))
    for _ in range(megabytes * 100):
        client.h2.outbound_flow_control_window = MEGABYTE  # since it does not read WINDOW_UPDATE frames either
        client.begin(Request("/Test/Echo", body))
        link.sendall(client.h2.data_to_send())


@pytest.mark.parametrize("method", ["Echo", "Lengths"])
def test_a_call_whose_message_is_not_completed_in_time_is_ended(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_STALL_SECONDS", 0.1)
    with _serving() as port, _connected(port) as (client, link):
        stream_id = client.begin(Request(f"/Test/{method}", prefixed(b"half")[:7], ends=False))
        link.sendall(client.h2.data_to_send())
        while client.responses[stream_id].status is None:
            client.receive(link.recv(65536))
    assert client.responses[stream_id].status == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


def test_a_stream_continues_between_messages_and_while_messages_arrive() -> None:
    connection, client = _connection(_host()), MemoryClient()
    stream_id = client.begin(Request("/Test/Lengths", prefixed(b"whole"), ends=False))
    client.exchange(connection)
    for _ in range(3):
        connection.end_stalled_calls()
    for _ in range(3):
        client.h2.send_data(stream_id, prefixed(b"half")[:7])
        client.exchange(connection)
        connection.end_stalled_calls()
        client.h2.send_data(stream_id, prefixed(b"half")[7:])
        client.exchange(connection)
    client.h2.end_stream(stream_id)
    client.exchange(connection)
    assert client.responses[stream_id].status == 0
    assert client.responses[stream_id].body == prefixed(b"5") + prefixed(b"4") * 3
    connection.lose()


def test_a_stream_is_reset_if_its_client_does_not_read_the_end_of_the_response() -> None:
    codes: list[grpc.StatusCode] = []

    @nggrpc.never_blocks
    def echo(request: bytes, context: Any) -> bytes:
        context.add_callback(lambda: codes.append(context.code()))
        return request

    connection, client = _connection(_host({"Echo": grpc.unary_unary_rpc_method_handler(echo)})), MemoryClient()
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 5})
    stream_id = client.begin(Request("/Test/Echo", prefixed(b"response")))
    client.exchange(connection)
    connection.end_stalled_calls()
    client.h2.increment_flow_control_window(5, stream_id)
    client.exchange(connection)
    connection.end_stalled_calls()
    client.receive(drain(connection))
    assert client.responses[stream_id].body == prefixed(b"response")[:10]
    assert client.responses[stream_id].reset is None
    connection.end_stalled_calls()
    client.receive(drain(connection))
    assert client.responses[stream_id].reset == http2.ErrorCode.CANCEL
    assert codes == [grpc.StatusCode.CANCELLED]
    connection.lose()


def test_busy_handlers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "_TURN_SECONDS", 0.0)
    order: list[str] = []

    @nggrpc.never_blocks
    def note(requests: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
        order.extend(request.decode() for request in requests)
        return b""

    host = _host({"Note": grpc.stream_unary_rpc_method_handler(note)})
    connection, client = _connection(host), MemoryClient()
    for name in (b"a", b"b"):
        client.begin(Request("/Test/Note", prefixed(name) * 3))
    client.exchange(connection)
    assert "".join(order) == "ababab"
    connection.lose()


def test_a_pass_whose_time_is_up_leaves_handlers_for_the_next_pass() -> None:
    host = _host()
    connection, client = _connection(host), MemoryClient()
    client.begin(Request("/Test/Echo", prefixed(b"here")))
    connection.receive(client.h2.data_to_send())
    connection.run_scheduled(until=0.0)
    client.receive(connection.data_to_send())
    assert not client.responses[1].body
    assert connection.has_more
    client.receive(drain(connection))
    assert client.responses[1].body == prefixed(b"here")
    connection.lose()


def test_a_lost_connection_frees_its_http2_state_without_the_garbage_collector() -> None:
    session = H2Session(100, 16384)
    freed = weakref.ref(session)
    connection = Connection(_host(), session, "test:", lambda: None)
    client = MemoryClient()
    client.begin(Request("/Test/Lengths", ends=False))
    client.exchange(connection)
    del session
    gc.disable()
    try:
        connection.lose()
        assert freed() is None
    finally:
        gc.enable()


def test_pings_of_a_client_between_the_parts_of_a_large_response_do_not_count_as_abuse() -> None:
    # grpc-go pings after each part, to measure how large its window should be.
    @nggrpc.never_blocks
    def large(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return bytes(200_000)

    host = _host({"Large": grpc.unary_unary_rpc_method_handler(large)})
    connection, client = _connection(host), MemoryClient()
    stream_id = client.begin(Request("/Test/Large", prefixed(b"")))
    client.exchange(connection)
    for _ in range(100):
        client.h2.ping(b"how fast")
        client.h2.increment_flow_control_window(1000)
        client.h2.increment_flow_control_window(1000, stream_id)
        client.exchange(connection)
    assert len(client.responses[stream_id].body) > 100_000
    assert not client.has_goaway
    connection.lose()


def test_answers_to_pings_of_the_server_do_not_count_as_abuse() -> None:
    connection, client = _connection(_host()), MemoryClient()
    client.exchange(connection)
    for _ in range(2000):
        connection.session.ping(b"keepaliv")
        client.receive(drain(connection) + connection.data_to_send())
        client.exchange(connection)
    stream_id = client.begin(Request("/Test/Echo", prefixed(b"here")))
    client.exchange(connection)
    assert client.responses[stream_id].status == 0
    assert not client.has_goaway
    connection.lose()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_server_still_serves_after_its_process_forks() -> None:
    def fork(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        child = os.fork()
        if not child:
            os._exit(0)
        return str(os.waitpid(child, 0)[1]).encode()

    handlers: Handlers = {"Fork": grpc.unary_unary_rpc_method_handler(fork)}
    with _serving(handlers) as port, _connected(port) as (client, link):
        for _ in range(3):
            stream_id = client.begin(Request("/Test/Fork", prefixed(b"")))
            link.sendall(client.h2.data_to_send())
            while client.responses[stream_id].status is None:
                client.receive(link.recv(65536))
            assert client.responses[stream_id].body == prefixed(b"0")


# File descriptors.


def test_a_connection_beyond_the_maximum_waits_until_another_connection_ends() -> None:
    with _serving(options=[("nggrpc.max_connections", 1)]) as port:
        with _connected(port) as (client, first):
            _wait_for_echo(client, first)
            waiting = socket.create_connection(("127.0.0.1", port), timeouts.SECONDS)
            for _ in range(2):  # after two calls, the server has noticed the waiting connection
                _wait_for_echo(client, first)
            waiting.setblocking(False)
            with pytest.raises(BlockingIOError):
                waiting.recv(9)
        waiting.settimeout(timeouts.SECONDS)
        assert waiting.recv(9)
        waiting.close()


def _wait_for_echo(client: MemoryClient, link: socket.socket) -> None:
    stream_id = client.begin(Request("/Test/Echo", prefixed(b"here")))
    link.sendall(client.h2.data_to_send())
    while client.responses[stream_id].status is None:
        client.receive(link.recv(65536))


def test_some_file_descriptors_are_reserved_for_purposes_other_than_connections() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert listeners.max_connections() < soft


def _use_all_descriptors(used: list[int]) -> None:
    with contextlib.suppress(OSError):
        while True:
            used.append(os.dup(0))


def test_a_server_without_file_descriptors_warns_once_and_accepts_connections_later(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = threading.Event()
    pause = Listener._pause

    def pause_and_signal(listener: Listener) -> None:
        paused.set()
        pause(listener)

    monkeypatch.setattr(Listener, "_pause", pause_and_signal)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with _serving() as port, socket.socket() as waiting:
        waiting.settimeout(timeouts.SECONDS)
        used: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        try:
            _use_all_descriptors(used)
            waiting.connect(("127.0.0.1", port))
            for _ in range(3):
                paused.clear()
                assert paused.wait(timeouts.SECONDS)
        finally:
            for descriptor in used:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert waiting.recv(9)
        assert _echoed(port)
    assert caplog.text.count("cannot accept connections for now: Too many open files") == 1


# Addresses.


def test_a_port_is_in_use_before_its_server_starts() -> None:
    first = nggrpc.server(futures.ThreadPoolExecutor(1))
    port = first.add_insecure_port("127.0.0.1:0")
    with pytest.raises(RuntimeError, match="Address already in use"):
        nggrpc.server(futures.ThreadPoolExecutor(1)).add_insecure_port(f"127.0.0.1:{port}")
    first.stop(None)


def test_addresses_of_a_host_that_this_machine_lacks_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: found)
    bound = listeners.bind("localhost:0", reuse_port=False)
    assert [each.family for each in bound] == [socket.AF_INET]
    bound[0].close()


def test_a_machine_without_ipv6_serves_by_ipv4_only(monkeypatch: pytest.MonkeyPatch) -> None:
    listen = listeners._listen

    def without_ipv6(family: int, address: object, *, reuse_port: bool) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return listen(family, address, reuse_port=reuse_port)

    monkeypatch.setattr(listeners, "_listen", without_ipv6)
    bound = listeners.bind("[::]:0", reuse_port=False)
    assert [each.getsockname()[0] for each in bound] == ["0.0.0.0"]
    bound[0].close()
