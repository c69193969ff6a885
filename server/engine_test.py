"""Calls that are answered inline, by the server alone; all else is tested on both engines in tests/."""

import functools
import inspect
import logging
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc import _server  # type: ignore[attr-defined] # its published types leave it out

from server.engine import InlineContext, InlineServer, never_blocks
from server.inline import InlineCalls
from server.interceptor import CallInterceptor


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


@contextmanager
def _serving(**methods: Any) -> Iterator[grpc.Channel]:  # noqa: ANN401
    """Serve methods of the service S."""
    calls = CallInterceptor(max_concurrent_calls=10, max_deadline=60)
    pool = futures.ThreadPoolExecutor(4, thread_name_prefix="pool")
    server = InlineServer(pool, functools.partial(InlineCalls, calls), [calls], [], 10)
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()
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
    return method(b"", timeout=10)


def test_a_method_that_never_blocks_is_answered_by_the_thread_that_reads_and_another_is_not() -> None:
    with _serving(Where=_where, Elsewhere=_elsewhere) as channel:
        assert _call(channel, "Where") == b"engine"
        assert _call(channel, "Elsewhere").startswith(b"pool")


def test_a_method_that_blocks_all_the_same_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), _serving(Slow=_slow) as channel:
        _call(channel, "Slow")
    assert "/S/Slow kept all other calls waiting for 0.2 s: it is not to be inline" in caplog.text


class Crashing:
    """Fails at every second call, where nothing should."""

    calls = 0

    def begin(self, _context: InlineContext) -> None:
        self.calls += 1

    def answer(self, _context: InlineContext, message: bytes | None) -> bytes:
        if self.calls % 2:
            raise ValueError
        return message or b""

    def over(self, _context: InlineContext) -> None:
        pass


def test_a_crash_ends_its_call_and_not_the_server() -> None:
    crashing = Crashing()
    server = InlineServer(futures.ThreadPoolExecutor(1), lambda _method, _handler: crashing, [], [], 10)
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Where": grpc.unary_unary_rpc_method_handler(_where)}
    server.add_registered_method_handlers("S", handlers)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        with pytest.raises(grpc.RpcError) as failed:
            _call(channel, "Where")
        assert failed.value.code() is grpc.StatusCode.UNKNOWN
        assert _call(channel, "Where") == b""
    server.stop(grace=None).wait()


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
    assert grpc.__version__ == "1.85.1"
