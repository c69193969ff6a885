"""Calls that are answered inline, by the server alone; all else is tested on both engines in tests/."""

import gc
import inspect
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import greenlet
import grpc
import pytest
from grpc import _server  # type: ignore[attr-defined] # its published types leave it out

from server.access_log import AccessLog
from server.engine import InlineServer
from server.handlers import never_blocks
from server.interceptor import CallInterceptor
from server.serving import ENGINE_IS_FOR
from tests import programs, timeouts


@never_blocks
def _where(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Answer with the name of the thread."""
    return threading.current_thread().name.encode()


def _elsewhere(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    return threading.current_thread().name.encode()


@never_blocks
def _slow(_request: bytes, _context: grpc.ServicerContext) -> bytes:
    time.sleep(0.2)  # what such a method must not do
    return b""


@never_blocks
def _unsendable(_request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("x", 5),))  # type: ignore[arg-type] # what metadata must not be
    return b""


@never_blocks
def _unsendable_stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    context.set_trailing_metadata((("x", 5),))  # type: ignore[arg-type]
    yield from requests


@never_blocks
def _badly_called_back(_request: bytes, context: grpc.ServicerContext) -> bytes:
    def fail() -> None:
        raise ValueError("not to be missed")

    context.add_callback(fail)
    return b"well"


@never_blocks
def _all_that_is_said(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """Answer with all that a context says of a call."""
    said: Any = context  # its published types leave some out
    before = [said.code(), said.details(), said.trailing_metadata()]
    said.set_code(grpc.StatusCode.OK)
    said.set_details("well")
    said.set_trailing_metadata((("key", "value"),))
    after = [said.code(), said.details(), said.trailing_metadata()]
    identity = [said.auth_context(), said.peer_identities(), said.peer_identity_key()]
    return repr([before, after, identity, said.is_active(), said.add_callback(lambda: None)]).encode()


@contextmanager
def _serving(**methods: Any) -> Iterator[grpc.Channel]:  # noqa: ANN401
    """Serve methods of the service S."""
    pool = futures.ThreadPoolExecutor(4, thread_name_prefix="pool")
    server = InlineServer(pool, [CallInterceptor(10, 60)], [])
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.stream_stream_rpc_method_handler(method)
        if inspect.isgeneratorfunction(method)
        else grpc.unary_unary_rpc_method_handler(method)
        for name, method in methods.items()
    }
    server.add_registered_method_handlers("S", handlers)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("S", handlers),))
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        yield channel
    server.stop(grace=None).wait()


def _call(channel: grpc.Channel, name: str) -> bytes:
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/S/{name}")
    return method(b"", timeout=timeouts.SECONDS)


def test_a_method_that_never_blocks_is_answered_by_the_thread_that_reads_and_another_is_not() -> None:
    with _serving(Where=_where, Elsewhere=_elsewhere) as channel:
        assert _call(channel, "Where") == b"engine"
        assert _call(channel, "Elsewhere").startswith(b"pool")


def test_a_method_that_blocks_all_the_same_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), _serving(Slow=_slow) as channel:
        _call(channel, "Slow")
    assert re.search(
        r"/S/Slow kept all other calls waiting for [\d.]+ s: it is not to be marked @never_blocks", caplog.text
    )


def test_a_handler_is_told_what_grpc_itself_would_tell_it() -> None:
    def also(request: bytes, context: grpc.ServicerContext) -> bytes:  # not marked, and so grpc's own
        return _all_that_is_said(request, context)

    with _serving(Ours=_all_that_is_said, Theirs=also) as channel:
        assert _call(channel, "Ours") == _call(channel, "Theirs")


def test_a_handler_that_cancels_its_call_ends_it() -> None:
    @never_blocks
    def cancel(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.cancel()
        return b""

    with _serving(Cancel=cancel) as channel:
        with pytest.raises(grpc.RpcError) as ended:
            _call(channel, "Cancel")
        assert ended.value.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("method", [_unsendable, _unsendable_stream])
def test_what_cannot_be_sent_ends_its_call_and_not_the_server(
    method: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with _serving(Unsendable=method, Where=_where) as channel:
        with pytest.raises(grpc.RpcError) as failed:
            _call(channel, "Unsendable")
        assert failed.value.code() is grpc.StatusCode.UNKNOWN
        assert "What /S/Unsendable answers cannot be sent" in caplog.text
        assert _call(channel, "Where") == b"engine"


def test_a_callback_that_fails_is_logged_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with _serving(Bad=_badly_called_back, Where=_where) as channel:
        assert _call(channel, "Bad") == b"well"
        assert _call(channel, "Where") == b"engine"
    assert "not to be missed" in caplog.text


class Crashing(grpc.ServerInterceptor):
    """Fails at every second call, where nothing should."""

    calls = 0

    def intercept_service(self, _continuation: Any, _details: grpc.HandlerCallDetails) -> Any:  # noqa: ANN401
        def answer(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
            self.calls += 1
            if self.calls % 2:
                raise ValueError
            return b"well"

        return grpc.stream_unary_rpc_method_handler(answer)


def test_a_crash_ends_its_call_and_not_the_server() -> None:
    server = InlineServer(futures.ThreadPoolExecutor(1), [Crashing()], [])
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Where": grpc.unary_unary_rpc_method_handler(_where)}
    server.add_registered_method_handlers("S", handlers)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        with pytest.raises(grpc.RpcError) as failed:
            _call(channel, "Where")
        assert failed.value.code() is grpc.StatusCode.UNKNOWN
        assert _call(channel, "Where") == b"well"
    server.stop(grace=None).wait()


def test_a_server_may_be_collected_while_its_thread_ends() -> None:
    """Greenlet, left to itself, would free what the server still points to."""
    left, collecting, ended = threading.Event(), threading.Event(), threading.Event()
    of_thread = threading.local()

    class Last:
        def __del__(self) -> None:  # when the thread has left its last frame
            left.set()
            collecting.wait(timeouts.SECONDS)

    class Log(AccessLog):
        def begin_batch(self) -> None:  # the first that the thread does
            of_thread.last = Last()
            super().begin_batch()

    class Cycle:
        def __init__(self, server: InlineServer) -> None:
            self.held = (self, server)

        def __del__(self) -> None:
            collecting.set()
            ended.wait(timeouts.SECONDS)

    def serve() -> threading.Thread:
        server = InlineServer(futures.ThreadPoolExecutor(1), [], [], Log("text"))
        server.start()
        [engine] = [thread for thread in threading.enumerate() if thread.name == "engine"]
        Cycle(server)
        server.stop(grace=None).wait()
        return engine

    def collect() -> None:
        left.wait(timeouts.SECONDS)
        gc.collect()

    engine = serve()
    collector = threading.Thread(target=collect)
    collector.start()
    engine.join()
    others = [greenlet.greenlet() for _ in range(10_000)] * 2  # they take the place of what was freed
    ended.set()
    collector.join()
    assert collecting.is_set()
    assert len({sys.getrefcount(other) for other in others}) == 1


def test_grpc_is_what_the_engine_was_made_for() -> None:
    """It takes what grpc keeps to itself: when that has changed, read the new text against engine.py."""
    known = {
        "_start": ["state"],
        "_stop_serving": ["state"],
        "_process_event_and_continue": ["state", "event"],
        "_request_call": ["state"],
        "_request_registered_call": ["state", "method"],
        "_begin_shutdown_once": ["state"],
    }
    assert {name: list(inspect.signature(getattr(_server, name)).parameters) for name in known} == known
    assert grpc.__version__ == ENGINE_IS_FOR


def test_grpc_still_has_what_is_switched_for_speed() -> None:
    """Otherwise it is slower, without a word."""
    complaints = {}
    for experiment in ("fuse_filters", "no_such_experiment"):
        finished = programs.run(
            [sys.executable, "-c", "import grpc; grpc.insecure_channel('localhost:1').close()"],
            GRPC_EXPERIMENTS=f"-{experiment}",
            GRPC_VERBOSITY="INFO",
            PYTHONPATH=os.pathsep.join(sys.path),
        )
        complaints[experiment] = "Unknown experiment" in finished.stderr
    assert complaints == {"fuse_filters": False, "no_such_experiment": True}
