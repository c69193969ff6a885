"""The interceptor on both engines, around handlers of each kind that fail as our servicers should not."""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any
from unittest import mock

import grpc
import pytest
from google.protobuf import wrappers_pb2

import nggrpc
from nggrpc import connection, never_blocks
from server.observability import logs
from server.observability.call_record import CallRecord
from server.observability.trace_context import Trace
from server.rpc.interceptor import CallInterceptor
from testing import timeouts

Message = wrappers_pb2.StringValue
HANDLERS: dict[str, Callable[..., "grpc.RpcMethodHandler[Any, Any]"]] = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}


def stock(pool: futures.ThreadPoolExecutor, calls: CallInterceptor) -> grpc.Server:
    return grpc.server(pool, interceptors=[calls])


def with_nggrpc(pool: futures.ThreadPoolExecutor, calls: CallInterceptor) -> grpc.Server:
    return nggrpc.server(pool, interceptors=[calls])


class Peer:
    """A server with the behavior that a test gives it, and a channel to it.

    Attributes:
        log: for each call that has ended, a line with its method and its status code, and its trace context.
        expired: the status code that a client gets if a call exceeds the maximum duration.
    """

    def __init__(
        self,
        engine: Callable[[futures.ThreadPoolExecutor, CallInterceptor], grpc.Server],
        behavior: Callable[..., Any],
        max_deadline: float,
    ) -> None:
        self.log: list[tuple[str, Trace | None]] = []
        # With the public API of grpcio, a server can only cancel such a call.
        self.expired = grpc.StatusCode.CANCELLED if engine is stock else grpc.StatusCode.DEADLINE_EXCEEDED
        self._pool = futures.ThreadPoolExecutor()
        self._server = engine(self._pool, CallInterceptor(10, max_deadline, self._write))
        methods = {
            kind: handler(never_blocks(behavior), Message.FromString, Message.SerializeToString)
            for kind, handler in HANDLERS.items()
        }
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Test", methods)])
        self._server.add_registered_method_handlers("Test", methods)
        port = self._server.add_insecure_port("localhost:0")
        self._server.start()
        self.channel = grpc.insecure_channel(f"localhost:{port}")

    def _write(self, record: CallRecord) -> None:
        self.log.append((f"{record.method} {record.code.name}", record.trace))

    @property
    def lines(self) -> list[str]:
        """The log without the trace contexts."""
        return [line for line, _ in self.log]

    def call(self, kind: str, timeout: float = timeouts.SECONDS, **options: Any) -> Any:  # noqa: ANN401
        method = getattr(self.channel, kind)(f"/Test/{kind}", Message.SerializeToString, Message.FromString)
        request = Message(value="x")
        answer = method(iter([request]) if kind.startswith("stream") else request, timeout=timeout, **options)
        return list(answer) if kind.endswith("stream") else answer

    def send(self, kind: str, requests: Iterator[bytes]) -> Any:  # noqa: ANN401
        """Call a method of any kind with a stream of bytes, since all kinds are the same on the wire."""
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = self.channel.stream_stream(f"/Test/{kind}")
        return method(requests, timeout=timeouts.SECONDS)

    def close(self) -> None:
        self.channel.close()
        self._server.stop(grace=None).wait()
        self._pool.shutdown()  # waits for the handlers, and thereby for their lines in the log


@pytest.fixture(params=[stock, with_nggrpc])
def serve(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[..., Any]], Peer]]:
    # On a slow machine the engine would report handlers that did not block, and tests assert an empty log.
    monkeypatch.setattr(connection, "_SLOW_HANDLER_SECONDS", timeouts.SECONDS)
    peers: list[Peer] = []

    def start(behavior: Callable[..., Any], max_deadline: float = 3600) -> Peer:
        peers.append(Peer(request.param, behavior, max_deadline))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


Serve = Callable[..., Peer]


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_crash_is_an_id_for_the_client_and_a_traceback_in_the_log(
    kind: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(_request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        raise KeyError("a secret")

    with caplog.at_level(logging.INFO), pytest.raises(grpc.RpcError) as refused:
        serve(crash).call(kind)
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    details = refused.value.details() or ""
    assert "secret" not in details
    [crash_id] = re.findall(r"[0-9a-f]{16}$", details)
    [crashed] = [record for record in caplog.records if crash_id in record.getMessage()]
    assert crashed.exc_info
    assert "a secret" in str(crashed.exc_info[1])


@pytest.mark.parametrize("error", [Exception("a secret"), NotImplementedError("a secret"), ValueError()])
def test_any_exception_other_than_an_abort_is_a_crash(error: Exception, serve: Serve) -> None:
    def crash(_request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        raise error

    with pytest.raises(grpc.RpcError) as refused:
        serve(crash).call("unary_unary")
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    assert re.fullmatch(r"internal error; .* [0-9a-f]{16}", refused.value.details() or "")


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_crash_is_logged_with_its_trace(kind: str, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    def write(record: logging.LogRecord) -> bool:
        lines.append(logs.formatter("text").format(record))
        return True

    def crash(_request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        raise KeyError

    peer = serve(crash)
    caplog.handler.addFilter(write)
    with caplog.at_level(logging.INFO):
        with pytest.raises(grpc.RpcError):
            peer.call(kind, metadata=(("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"),))
        peer.close()
    [crashed] = lines
    assert f"trace={'a' * 32}" in crashed
    assert peer.log == [(f"/Test/{kind} INTERNAL", Trace("a" * 32, "b" * 16, sampled=True))]


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_status_that_a_handler_sets_itself_is_kept(kind: str, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    peer = serve(refuse)
    with caplog.at_level(logging.INFO):
        with pytest.raises(grpc.RpcError) as refused:
            peer.call(kind)
        peer.close()
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.DATA_LOSS, "gone")
    assert peer.lines == [f"/Test/{kind} DATA_LOSS"]
    assert not caplog.records


def test_a_method_that_a_servicer_does_not_override_is_unimplemented(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def not_implemented(_request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        # As in generated servicers.
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError("Method not implemented!")

    with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as refused:
        serve(not_implemented).call("unary_unary")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert caplog.messages == []


def test_a_call_whose_deadline_expired_at_the_client_is_logged_as_expired_or_cancelled() -> None:
    ended = threading.Event()

    def outlast(_request: Any, context: grpc.ServicerContext) -> Message:  # noqa: ANN401
        assert context.add_callback(ended.set)
        assert ended.wait(timeouts.SECONDS)
        return Message()

    peer = Peer(stock, outlast, max_deadline=60)  # stock only, since the handler blocks
    grpc.channel_ready_future(peer.channel).result(timeouts.SECONDS)
    with pytest.raises(grpc.RpcError) as expired:
        peer.call("unary_unary", timeout=timeouts.SLOWDOWN)  # long enough for the handler to begin
    assert expired.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    peer.close()
    assert peer.lines in (["/Test/unary_unary DEADLINE_EXCEEDED"], ["/Test/unary_unary CANCELLED"])


def _echo(request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: ANN401
    return request if isinstance(request, Message) else next(request, Message())


def _echo_all(request: Any, _context: grpc.ServicerContext) -> Iterator[Message]:  # noqa: ANN401
    yield from [request] if isinstance(request, Message) else request


ECHOES = {kind: _echo_all if kind.endswith("stream") else _echo for kind in HANDLERS}


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_malformed_message_is_an_internal_error_but_not_a_crash(
    kind: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(grpc.RpcError) as refused:
        next(serve(ECHOES[kind]).send(kind, iter([b"\xff"])))
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    assert (refused.value.details() or "").startswith(f"a request message of /Test/{kind} cannot be parsed")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_a_unary_request_without_its_message_is_unimplemented(kind: str, serve: Serve) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        next(serve(ECHOES[kind]).send(kind, iter([])))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == f"/Test/{kind} requires a request message"


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_call_that_sends_nothing_ends_at_the_maximum_duration(kind: str, serve: Serve) -> None:
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait()
        yield from ()

    peer = serve(ECHOES[kind], max_deadline=0.2)
    for _ in range(2):  # one after the other
        with pytest.raises(grpc.RpcError) as refused:
            next(peer.send(kind, nothing()))
    over.set()
    peer.close()
    assert refused.value.code() == peer.expired
    if peer.expired is grpc.StatusCode.DEADLINE_EXCEEDED:
        assert refused.value.details() == "the call exceeded the maximum duration of this server"
    assert peer.lines == [f"/Test/{kind} DEADLINE_EXCEEDED"] * 2


def test_a_call_whose_responses_are_not_read_ends_at_the_maximum_duration(serve: Serve) -> None:
    ended = threading.Event()

    def flood(_request: Any, _context: grpc.ServicerContext) -> Iterator[Message]:  # noqa: ANN401
        try:
            while True:
                yield Message(value="x" * 100_000)
        finally:
            ended.set()

    peer = serve(flood, max_deadline=0.2)
    method: grpc.UnaryStreamMultiCallable[bytes, bytes] = peer.channel.unary_stream("/Test/unary_stream")
    unread = method(b"", timeout=timeouts.SECONDS)
    assert ended.wait(timeouts.SECONDS)
    with pytest.raises(grpc.RpcError) as refused:
        list(unread)
    assert refused.value.code() == grpc.StatusCode.CANCELLED  # a status would come after the buffered messages
    peer.close()
    assert peer.lines == ["/Test/unary_stream DEADLINE_EXCEEDED"]


def test_a_stream_that_its_client_cancels_is_not_a_crash(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    over = threading.Event()

    def one() -> Iterator[bytes]:
        yield Message().SerializeToString()
        over.wait()

    peer = serve(_echo_all)
    with caplog.at_level(logging.INFO):
        call = peer.send("stream_stream", one())
        next(call)
        call.cancel()
        over.set()
        peer.close()
    # With grpcio, the servicer may see the cancellation as the end of the requests.
    accepted = {"CANCELLED", "OK"} if peer.expired is grpc.StatusCode.CANCELLED else {"CANCELLED"}
    [line] = peer.lines
    assert line.removeprefix("/Test/stream_stream ") in accepted
    assert not caplog.records


def test_a_servicer_that_ends_because_its_call_was_cancelled_is_logged_as_cancelled() -> None:
    # grpcio may report the end of the call only after the servicer has ended.
    context = mock.NonCallableMock(spec=grpc.ServicerContext)
    context.configure_mock(
        **{
            "add_callback.return_value": True,
            "code.return_value": None,
            "invocation_metadata.return_value": (),
            "is_active.return_value": False,
            "time_remaining.return_value": None,
        }
    )

    def wait(_requests: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
        raise grpc.RpcError

    ended: list[grpc.StatusCode] = []
    interceptor = CallInterceptor(10, 60, lambda record: ended.append(record.code))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(wait)
    details = mock.Mock(method="/Test/stream_unary")
    intercepted = interceptor.intercept_service(lambda _details: handler, details)
    assert intercepted.stream_unary
    with pytest.raises(grpc.RpcError):
        intercepted.stream_unary(iter([]), context)
    [report_end] = context.add_callback.call_args.args
    report_end()
    assert ended == [grpc.StatusCode.CANCELLED]


def test_an_unknown_method_is_unimplemented_and_logged(serve: Serve) -> None:
    peer = serve(_echo)
    with pytest.raises(grpc.RpcError) as refused:
        next(peer.send("nothing", iter([b""])))
    peer.close()
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert peer.lines == ["/Test/nothing UNIMPLEMENTED"]
