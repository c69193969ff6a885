"""Tests with malicious and broken peers: the server refuses them, serves other clients, and does not leak resources."""

import contextlib
import gzip
import io
import itertools
import random
import re
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from routeguide import route_guide_pb2 as pb_routes

from testing import programs, service_list, timeouts
from testing.raw_http2 import RawPeer, connected, frame_bytes, prefixed, request_headers, silent

MEGABYTE = 2**20

CALCULATE = "/calculator.v1.Calculator/Calculate"
EVALUATE = "/calculator.v1.Calculator/Evaluate"
AGGREGATE = "/calculator.v1.Calculator/Aggregate"
CONVERSE = "/calculator.v1.Calculator/Converse"
CHAT = "/routeguide.RouteGuide/RouteChat"
HEALTH = "/grpc.health.v1.Health/Check"

ADD = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3).SerializeToString()
FIVE = pb.CalculateResponse(result=5).SerializeToString()

# 500 steps, each with the remaining expression: half a megabyte of responses.
LONGEST_SUM = pb.EvaluateRequest(expression="10" + "+1" * 499).SerializeToString()

OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 3, 8, 12, 13, 14

HEADERS, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 1, 4, 6, 8, 9
END_HEADERS = 4
CANCEL, ENHANCE_YOUR_CALM = 8, 11

WATCH = "/grpc.health.v1.Health/Watch"

MAX_CALLS = 20
# A thread pool keeps the threads that it once needed: one per admitted call, and 64 for watches, checks and calls to be
# refused. The rest is for the main thread, the thread for deadlines, and the threads that gRPC core starts as needed.
MOST_THREADS = MAX_CALLS + 64 + 24

# A maximum deadline in seconds that expires during a test, but long after its calls have begun. gRPC core closes a
# connection after 20 s without an answer to its pings, which a raw peer does not give.
SHORT_DEADLINE = f"{min(5 * timeouts.SLOWDOWN, 15):.3f}"

_TESTS = itertools.count()
# gRPC allows 16 MB of headers per call, which take about six times as much memory. The allocator returns little of it,
# but the next flood reuses it: growth of 45 to 285 MB was measured. A leak that grows with the length of a flood would
# far exceed this limit.
MOST_GROWTH_KILOBYTES = 512 * 1024


def _descriptors(server: programs.Server) -> int:
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())


def _assert_others_are_served(server: programs.Server) -> None:
    with connected(server.port) as peer:
        answer = peer.call(CALCULATE, ADD)
    assert (answer.status, answer.messages) == (OK, [(False, FIVE)])
    with grpc.insecure_channel(server.address) as channel:
        assert programs.call(channel, CALCULATE, ADD) == FIVE


def _is_served(server: programs.Server) -> bool:
    """Return whether a call succeeds now; an overloaded server may refuse it."""
    with connected(server.port) as peer:
        return peer.call(CALCULATE, ADD).status == OK


@pytest.fixture(scope="module")
def server() -> Iterator[programs.Server]:
    with programs.serving(f"--max-concurrent-calls={MAX_CALLS}") as running:
        yield running


@pytest.fixture(scope="module")
def idle(server: programs.Server) -> dict[str, int]:
    """The resources that the server uses after it has answered calls, without an open connection."""
    descriptors = _descriptors(server)
    _assert_others_are_served(server)
    return {"descriptors": descriptors, "VmRSS": server.memory("VmRSS")}


@pytest.fixture(autouse=True)
def _unharmed(server: programs.Server, idle: dict[str, int]) -> Iterator[None]:
    """Check after each test that the server still works and has released its resources."""
    logged = len(server.log)
    yield
    _assert_others_are_served(server)
    assert server.process.poll() is None
    programs.eventually(lambda: _descriptors(server) <= idle["descriptors"])
    assert server.threads <= MOST_THREADS
    assert server.memory("VmRSS") - idle["VmRSS"] < MOST_GROWTH_KILOBYTES
    path = f"/after/{next(_TESTS)}."
    with connected(server.port) as peer:
        peer.call(path)
    server.wait_for_log(path)  # so all log lines of the test have been written
    assert not [line for line in server.log[logged:] if "Traceback" in line or "crashed" in line]


# Data that is not HTTP/2, or violates it.


def _client_hello() -> bytes:
    sent = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return sent.read()


@pytest.mark.parametrize(
    "opening",
    [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", _client_hello(), random.Random(1).randbytes(5000), bytes(5000)],
    ids=["http1", "tls", "noise", "zeros"],
)
def test_a_connection_that_is_not_http2_is_closed(server: programs.Server, opening: bytes) -> None:
    with silent(server.port) as peer:
        peer.send_bytes(opening)
        peer.wait_for_close()


@pytest.mark.parametrize("size", [16385, 100_000])
def test_a_frame_above_the_maximum_size_closes_the_connection(server: programs.Server, size: int) -> None:
    with connected(server.port) as peer:
        stream = peer.begin(CALCULATE)
        peer.send_data(stream, bytes(size))
        answer = peer.read(stream)
        assert answer.status == UNAVAILABLE or answer.goaway is not None
        peer.wait_for_close()


@pytest.mark.parametrize(
    "frame",
    [
        frame_bytes(HEADERS, END_HEADERS, 1, b"\xff" * 20),
        frame_bytes(SETTINGS, 0, 0, b"five!"),
        frame_bytes(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
        frame_bytes(PING, 0, 0, b"not eight"),
        frame_bytes(WINDOW_UPDATE, 0, 0, bytes(4)),
        frame_bytes(CONTINUATION, END_HEADERS, 1, b"of nothing"),
    ],
    ids=["headers", "settings", "window_size", "ping", "window", "continuation"],
)
def test_a_frame_that_http2_forbids_closes_the_connection(server: programs.Server, frame: bytes) -> None:
    with connected(server.port) as peer:
        peer.send_bytes(frame)
        peer.wait_for_close()


def _noise() -> st.SearchStrategy[bytes]:
    """Return a strategy for bytes: frames of any type with any flags, mixed with the frames of a valid call."""
    headers = Encoder().encode(request_headers(CONVERSE))
    valid: list[Frame] = [
        HeadersFrame(1, headers, flags=["END_HEADERS"]),
        DataFrame(1, prefixed(b"")),
        RstStreamFrame(1),
    ]
    octets = st.integers(0, 255)

    arbitrary = st.builds(
        frame_bytes, st.integers(0, 9) | octets, octets, st.integers(0, 5) | st.just(2**32 - 1), st.binary(max_size=50)
    )
    return st.lists(st.sampled_from([each.serialize() for each in valid]) | arbitrary, max_size=10).map(b"".join)


@settings(max_examples=200)
@given(noise=_noise())
def test_random_frames_do_not_stop_the_server(server: programs.Server, noise: bytes) -> None:
    with connected(server.port) as peer, connected(server.port) as other:
        peer.send_bytes(noise)
        assert other.call(CALCULATE, ADD).messages == [(False, FIVE)]


# Floods of valid frames.


def _flood(peer: RawPeer, frames: Iterable[Frame], times: int) -> None:
    data = b"".join(frame.serialize() for frame in frames)
    for _ in range(times):
        if not peer.send_bytes(data):
            return


@pytest.mark.parametrize(
    "frame",
    [
        SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 70_000}),
        PriorityFrame(1, stream_weight=3),
        WindowUpdateFrame(1, window_increment=1),
        DataFrame(1),
        ExtensionFrame(type=200, stream_id=1, body=b"grease"),
        RstStreamFrame(1, error_code=CANCEL),
    ],
    ids=["settings", "priority", "window", "data", "extension", "reset"],
)
def test_a_flood_of_frames_does_not_block_other_clients(server: programs.Server, frame: Frame) -> None:
    with connected(server.port) as peer:
        peer.begin(CONVERSE)
        _flood(peer, [frame] * 1000, times=50)
        _assert_others_are_served(server)


def test_a_flood_of_pings_is_answered_with_enhance_your_calm_and_a_closed_connection(server: programs.Server) -> None:
    with connected(server.port) as peer:
        _flood(peer, [PingFrame(0, b"are you?")] * 1000, times=20)
        answer = peer.read(stream=0)
        assert (answer.goaway, answer.closed) == (ENHANCE_YOUR_CALM, True)


def test_pings_at_the_permitted_rate_are_answered() -> None:
    with programs.serving("--min-ping-interval=0.001") as server, connected(server.port) as peer:
        for _ in range(20):
            _wait_until_read(peer)  # sends a ping
            again = time.monotonic() + 0.002
            while time.monotonic() < again:
                pass
        assert peer.call(CALCULATE, ADD).status == OK


def test_the_server_ends_the_calls_of_a_client_that_has_vanished() -> None:
    with programs.serving(f"--keepalive-time={timeouts.SLOWDOWN:.3f}") as server, connected(server.port) as peer:
        peer.begin("/calculator.v1.Calculator/Converse")  # from now on, the peer answers no ping
        assert server.wait_for_log("/calculator.v1.Calculator/Converse")  # written when the call has ended


def test_a_client_that_answers_pings_keeps_its_calls() -> None:
    with programs.serving(f"--keepalive-time={timeouts.SLOWDOWN:.3f}") as server, connected(server.port) as peer:
        stream = peer.begin("/calculator.v1.Calculator/Converse")
        pings = 0
        for frame in peer.frames():
            if isinstance(frame, PingFrame) and "ACK" not in frame.flags:
                peer.send(PingFrame(0, frame.opaque_data, flags=["ACK"]))
                pings += 1
            if pings == 2:
                break
        peer.send_data(stream)
        assert peer.read(stream).status == OK


def _wait_until_read(peer: RawPeer) -> None:
    """Wait until the server has read everything that a peer sent."""
    peer.send(PingFrame(0, b"and now?"))
    assert any(isinstance(frame, PingFrame) and "ACK" in frame.flags for frame in peer.frames())


def test_two_thousand_calls_reset_after_their_headers_block_others_only_briefly(server: programs.Server) -> None:
    with connected(server.port) as peer:
        for _ in range(2000):
            peer.send(RstStreamFrame(peer.begin(CALCULATE), error_code=CANCEL))
        _wait_until_read(peer)
        programs.eventually(lambda: _is_served(server))


def test_two_thousand_calls_reset_after_their_request_block_others_only_briefly(server: programs.Server) -> None:
    with connected(server.port) as peer:
        for _ in range(2000):
            stream = peer.begin(CALCULATE)
            peer.send(DataFrame(stream, prefixed(ADD), flags=["END_STREAM"]), RstStreamFrame(stream, error_code=CANCEL))
        _wait_until_read(peer)
        programs.eventually(lambda: _is_served(server))


def _header_frames(peer: RawPeer, stream: int, megabytes: int) -> list[Frame]:
    """Return the HEADERS and CONTINUATION frames of a call, without END_HEADERS."""
    frames: list[Frame] = [HeadersFrame(stream, peer.header_block(request_headers(CONVERSE)))]
    frames += [
        ContinuationFrame(
            stream,
            peer.header_block((f"x-{mega}-{kilo}", "x" * 1000) for kilo in range(n, n + 15)),
        )
        for mega in range(megabytes)
        for n in range(0, 1000, 15)
    ]
    return frames


def test_headers_far_beyond_the_limit_are_refused(server: programs.Server) -> None:
    with connected(server.port) as peer:
        stream = peer.new_stream()
        peer.send(*_header_frames(peer, stream, megabytes=20), ContinuationFrame(stream, flags=["END_HEADERS"]))
        answer = peer.read(stream)
        assert answer.status == RESOURCE_EXHAUSTED or answer.closed


def test_endless_headers_neither_fill_the_memory_nor_block_other_clients(
    server: programs.Server, idle: dict[str, int]
) -> None:
    with connected(server.port) as peer:
        first, *more = _header_frames(peer, peer.new_stream(), megabytes=1)
        peer.send(first)
        _flood(peer, more, times=400)
        _assert_others_are_served(server)
        assert server.memory("VmHWM") - idle["VmRSS"] < MOST_GROWTH_KILOBYTES


def test_endless_empty_continuations_are_reset(server: programs.Server) -> None:
    with connected(server.port) as peer:
        stream = peer.new_stream()
        peer.send(HeadersFrame(stream, peer.header_block(request_headers(CONVERSE))))
        _flood(peer, [ContinuationFrame(stream)] * 1000, times=10)
        answer = peer.read(stream)
        assert answer.reset is not None or answer.closed


# Clients that are slow or silent.


def test_a_client_with_a_window_of_zero_does_not_block_other_clients(server: programs.Server) -> None:
    with connected(server.port, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as peer:
        for path, request in [(EVALUATE, LONGEST_SUM), (CONVERSE, b"")] * (MAX_CALLS // 4):
            peer.send_data(peer.begin(path), prefixed(request))
        _assert_others_are_served(server)


def test_unread_responses_are_limited_in_number_and_held_until_their_deadline() -> None:
    held = 2 * 5 + 10
    with (
        programs.serving("--max-concurrent-calls=5", f"--max-deadline={SHORT_DEADLINE}") as server,
        connected(server.port, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as peer,
    ):
        for _ in range(held):
            stream = peer.begin(CALCULATE)
            peer.send_data(stream, prefixed(ADD))
            next(frame for frame in peer.frames() if isinstance(frame, HeadersFrame) and frame.stream_id == stream)
        with connected(server.port) as another:
            assert another.call(CALCULATE, ADD).status == RESOURCE_EXHAUSTED
        programs.eventually(lambda: sum("Calculate DEADLINE_EXCEEDED" in line for line in server.log) == held)


def test_the_streams_of_a_connection_are_limited_to_the_capacity_of_the_server(server: programs.Server) -> None:
    with connected(server.port) as peer:
        said = next(frame for frame in peer.frames() if isinstance(frame, SettingsFrame))
        assert said.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == MAX_CALLS + 64


def test_a_client_with_a_window_of_zero_does_not_prevent_the_shutdown() -> None:
    with (
        programs.serving("--shutdown-grace=0.5") as server,
        connected(server.port, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as peer,
    ):
        stream = peer.begin(EVALUATE)
        peer.send_data(stream, prefixed(LONGEST_SUM))
        assert any(isinstance(frame, HeadersFrame) for frame in peer.frames())  # the call has begun
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(timeouts.SECONDS) == 0
        assert time.monotonic() - began >= 0.5
        answer = peer.read(stream)  # with nggrpc, a status would follow the messages that are still held back
        assert answer.status == UNAVAILABLE or answer.closed


@pytest.mark.parametrize("window", [0, 7])  # 7 bytes are enough for the first response only
def test_a_health_watch_that_reads_nothing_blocks_neither_other_clients_nor_the_shutdown(window: int) -> None:
    with (
        programs.serving("--shutdown-grace=0.5") as server,
        connected(server.port, {SettingsFrame.INITIAL_WINDOW_SIZE: window}) as peer,
    ):
        peer.send_data(peer.begin(WATCH), prefixed(b""))
        with connected(server.port) as other:
            assert other.call(HEALTH, b"").status == OK
        server.process.terminate()
        assert server.process.wait(timeouts.SECONDS) == 0


@pytest.mark.parametrize("path", [HEALTH, WATCH])
def test_health_calls_that_never_send_a_request_end_at_the_maximum_deadline(path: str) -> None:
    with programs.serving(f"--max-deadline={SHORT_DEADLINE}") as server, connected(server.port) as peer:
        for _ in range(100):
            stream = peer.begin(path)
        assert peer.read(stream).is_over
        _assert_others_are_served(server)
        with connected(server.port) as other:
            programs.eventually(lambda: other.call(HEALTH, b"").status == OK)
        server.wait_for_log(f"{path} DEADLINE_EXCEEDED")


def test_a_kept_note_does_not_keep_the_rest_of_its_call_in_memory() -> None:
    note = pb_routes.RouteNote(message="x" * 900, location=pb_routes.Point(latitude=1)).SerializeToString()
    superseded = pb_routes.RouteNote(message="y" * 900).SerializeToString()
    sizes: list[int] = []
    with programs.serving() as server:
        for _ in range(51):
            with connected(server.port) as peer:
                assert peer.call(CHAT, superseded * 1000 + note).status == OK
            sizes.append(server.memory("VmRSS"))
    assert sizes[-1] - sizes[0] < 20_000  # kB; the calls sent 45 MB


def test_a_connection_ends_at_its_maximum_age_and_its_calls_after_the_grace_period() -> None:
    with (
        programs.serving("--max-connection-age=0.2", "--max-connection-age-grace=0.2") as server,
        connected(server.port) as peer,
    ):
        stream = peer.begin(CONVERSE)
        answer = peer.read(stream)
        assert answer.goaway is not None
        assert answer.status == UNAVAILABLE


def test_a_client_that_reads_a_few_bytes_at_a_time_gets_the_whole_answer(server: programs.Server) -> None:
    with connected(server.port, {SettingsFrame.INITIAL_WINDOW_SIZE: 500}) as peer:
        stream = peer.begin(EVALUATE)
        peer.send_data(stream, prefixed(LONGEST_SUM))
        _assert_others_are_served(server)
        answer = peer.read(stream)
    assert (answer.status, len(answer.messages)) == (OK, 500)


def test_a_client_that_sends_one_byte_at_a_time_is_answered(server: programs.Server) -> None:
    with connected(server.port) as peer:
        stream = peer.begin(CALCULATE)
        for byte in prefixed(ADD):
            peer.send_data(stream, bytes([byte]), end_stream=False)
        peer.send_data(stream)
        assert peer.read(stream).messages == [(False, FIVE)]


def test_silent_connections_do_not_block_other_clients(server: programs.Server) -> None:
    with ExitStack() as connections:
        for opened in [silent, connected] * 100:
            connections.enter_context(opened(server.port))
        _assert_others_are_served(server)


@pytest.mark.parametrize("path", [CALCULATE, EVALUATE, AGGREGATE, CONVERSE])
def test_a_call_abandoned_in_the_middle_of_a_message_frees_its_slot(server: programs.Server, path: str) -> None:
    for _ in range(3):
        with connected(server.port) as peer:
            for _ in range(MAX_CALLS // 2):
                peer.send_data(peer.begin(path), prefixed(b"abc", length=100), end_stream=False)
            # The calls of the previous round may still hold their slots.
            programs.eventually(lambda: _is_served(server))


def test_silent_calls_use_up_the_limit_but_health_checks_are_answered(server: programs.Server) -> None:
    with connected(server.port) as peer, connected(server.port) as other:

        def is_full() -> bool:
            # This call may be refused too, while calls of the previous test still hold their slots.
            peer.begin(CALCULATE)
            return other.call(CALCULATE, ADD).status == RESOURCE_EXHAUSTED

        programs.eventually(is_full)
        assert other.call(HEALTH, b"").status == OK
    programs.eventually(lambda: _is_served(server))


# Malformed messages.


def test_every_method_refuses_a_malformed_message_with_internal(server: programs.Server) -> None:
    with grpc.insecure_channel(server.address) as channel:
        paths = [service_list.path(method) for method in service_list.methods(channel)]
    assert CALCULATE in paths
    for path in paths:
        for malformed in (b"\xff" * 5, b"\x0a", b"\x0a\x05abc"):
            with connected(server.port) as peer:
                answer = peer.call(path, malformed)
            assert (answer.status, answer.messages) == (INTERNAL, []), path
            assert "Traceback" not in answer.headers["grpc-message"]
            assert ".py" not in answer.headers["grpc-message"]


@pytest.mark.parametrize("length", [4 * MEGABYTE + 1, 2**32 - 1])
def test_a_message_above_the_limit_is_refused_before_it_arrives(server: programs.Server, length: int) -> None:
    with connected(server.port) as peer:
        stream = peer.begin(CALCULATE)
        peer.send_data(stream, prefixed(b"abc", length=length), end_stream=False)
        assert peer.read(stream).status == RESOURCE_EXHAUSTED


def _bomb(megabytes: int) -> bytes:
    with io.BytesIO() as packed:
        with gzip.open(packed, "wb") as zipped:
            for _ in range(megabytes):
                zipped.write(bytes(MEGABYTE))
        return packed.getvalue()


def test_a_message_that_expands_to_a_gigabyte_is_refused_and_never_expanded(server: programs.Server) -> None:
    bomb = _bomb(1024)
    assert len(bomb) < 2 * MEGABYTE
    before = server.memory("VmHWM")
    with connected(server.port) as peer:
        stream = peer.begin(CALCULATE, grpc_encoding="gzip")
        answer = peer.send_all(stream, prefixed(bomb, compressed=True))
    assert answer.status == RESOURCE_EXHAUSTED
    assert server.memory("VmHWM") - before < 32 * 1024  # kB


def test_a_compressed_message_is_read(server: programs.Server) -> None:
    with connected(server.port) as peer:
        stream = peer.begin(CALCULATE, grpc_encoding="gzip")
        assert peer.send_all(stream, prefixed(gzip.compress(ADD), compressed=True)).messages == [(False, FIVE)]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", None])
def test_an_uncompressed_message_with_the_compressed_flag_is_refused(
    server: programs.Server, encoding: str | None
) -> None:
    with connected(server.port) as peer:
        stream = peer.begin(CALCULATE, grpc_encoding=encoding)
        peer.send_data(stream, prefixed(ADD, compressed=True))
        assert peer.read(stream).status == INTERNAL


@pytest.mark.parametrize("data", [b"", b"\0\0", prefixed(ADD, length=100), b"\x07" + prefixed(ADD)[1:]])
def test_a_call_with_an_incomplete_message_is_refused(server: programs.Server, data: bytes) -> None:
    with connected(server.port) as peer:
        stream = peer.begin(CALCULATE)
        peer.send_data(stream, data)
        answer = peer.read(stream)
    assert (answer.messages, answer.status in (INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL)) == ([], True)


# Requests that are not valid gRPC.


@pytest.mark.parametrize(
    "path", ["/calculator.v1.Calculator/Nothing", "/nobody/home", "/", "/%00/..", "/" + "x" * 5000]
)
def test_an_unknown_method_is_unimplemented(server: programs.Server, path: str) -> None:
    with connected(server.port) as peer:
        assert peer.call(path, ADD).status == UNIMPLEMENTED


@pytest.mark.parametrize(
    "changes",
    [
        {"te": None},
        {"te": "gzip"},
        {"method": "GET"},
        {"method": "PUT"},
        {"method": "CONNECT"},
        {"method": None},
        {"scheme": None},
        {"scheme": "file"},
        {"path": None},
        {"authority": None},
        {"X-Capital": "letters"},
        {"x_bin": "%"},
        {"grpc_timeout": "soon"},
        # The protocol requires UNIMPLEMENTED; gRPC core answers INTERNAL.
        {"grpc_encoding": "snappy"},
    ],
    ids=str,
)
def test_a_request_with_a_wrong_or_missing_header_is_refused(
    server: programs.Server, changes: dict[str, str | None]
) -> None:
    with connected(server.port) as peer:
        answer = peer.call(CALCULATE, ADD, **changes)
    assert answer.messages == []
    is_http_error = answer.headers.get(":status") in {"400", "405"}
    assert is_http_error or answer.reset is not None or answer.status in (UNIMPLEMENTED, INTERNAL)


def test_a_method_name_with_control_characters_is_one_line_in_the_log(server: programs.Server) -> None:
    with connected(server.port) as peer:
        answer = peer.call("/a\n2026-01-01 12:00:00,000 INFO forged\r\x1b[2J")
    if answer.reset is not None:  # nghttp2 rejects such a path
        return
    line = server.wait_for_log("forged")
    assert re.match(r"\d{4}-\d\d-\d\d [\d:,]+ INFO /a\\n2026.* forged\\r\\x1b\[2J UNIMPLEMENTED ", line)


def test_a_header_that_is_not_utf_8_is_not_logged(server: programs.Server) -> None:
    with connected(server.port) as peer:
        stream = peer.new_stream()
        headers: list[tuple[str, str | bytes]] = [*request_headers("/no.such.Service/Method")]
        block = peer.header_block([*headers, ("authorization", b"Bearer secret\xc3")])
        peer.send(HeadersFrame(stream, block, flags=["END_HEADERS"]))
        status = peer.send_all(stream, b"").status
    assert status in (INTERNAL, UNIMPLEMENTED)
    if status == UNIMPLEMENTED:
        server.wait_for_log("A caller sent metadata that is not UTF-8")
    assert not [line for line in server.log if "secret" in line or "Traceback" in line]


@pytest.mark.parametrize("content_type", ["text/html", "application/json", "application/grpc-web", None])
def test_another_content_type_is_answered_with_http_415_or_as_grpc(
    server: programs.Server, content_type: str | None
) -> None:
    # The protocol requires 415. gRPC core treats any content type as gRPC, and does not report it to the server.
    with connected(server.port) as peer:
        answer = peer.call(CALCULATE, ADD, content_type=content_type)
    assert answer.headers[":status"] == "415" or answer.headers["content-type"] == "application/grpc"
