"""Tests of conversations over streams that end early."""

import itertools
import math
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import grpc
import pytest
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from calculator.v1.calculator_pb2_grpc import CalculatorStub
from hypothesis import example, given
from hypothesis import strategies as st

import nggrpc
from client import channel, conversation
from client.channel import ATTEMPTS, connect
from client.conversation import converse
from server.rpc.interceptor import CallInterceptor
from server.services.calculator_v1 import CalculatorServicer
from testing import timeouts
from testing.relay import Relay

CUT_OFF = "Stream removed (RST_STREAM (Received RST_STREAM with error code 2))"


@dataclass(frozen=True)
class Cut:
    """How a stream ends: after how many answers, with which status, and whether it reads one more request first."""

    answers: int
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    details: str = CUT_OFF
    reads_one_more: bool = False


class Servicer(CalculatorServicer):
    """A calculator that cuts its streams off.

    Attributes:
        cuts: how each of the next streams ends; later streams are not cut off.
        streams: the number of streams so far.
    """

    def __init__(self) -> None:
        self.cuts: Iterator[Cut] = iter(())
        self.streams = 0

    def cut_off(self, cuts: Iterable[Cut]) -> None:
        self.cuts, self.streams = iter(cuts), 0

    def Converse(
        self, request_iterator: Iterator[pb.ConverseRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ConverseResponse]:
        self.streams += 1
        cut = next(self.cuts, None)
        answers = super().Converse(request_iterator, context)
        if cut:
            yield from itertools.islice(answers, cut.answers)
            if cut.reads_one_more:
                next(request_iterator, None)
            if cut.code is grpc.StatusCode.OK:
                return
            context.abort(cut.code, cut.details)
        yield from answers


@contextmanager
def _started(servicer: CalculatorServicer, max_deadline: float = 60) -> Iterator[int]:
    """Start a server, and give its port."""
    interceptor = CallInterceptor(max_concurrent_calls=10, max_deadline=max_deadline)
    server = nggrpc.server(
        futures.ThreadPoolExecutor(10),
        interceptors=[interceptor],
        options=[("grpc.http2.min_ping_interval_without_data_ms", 1), ("grpc.keepalive_permit_without_calls", 1)],
    )
    calculator_pb2_grpc.add_CalculatorServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    yield port
    server.stop(grace=None).wait()


@contextmanager
def _serving(servicer: CalculatorServicer, max_deadline: float = 60) -> Iterator[CalculatorStub]:
    with _started(servicer, max_deadline) as port, connect(f"localhost:{port}") as opened:
        yield CalculatorStub(opened)


@pytest.fixture(scope="module")
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture(scope="module")
def stub(servicer: Servicer) -> Iterator[CalculatorStub]:
    with _serving(servicer) as stub:
        yield stub


@pytest.fixture(scope="module")
def waits() -> Iterator[list[int]]:
    """Skip the backoff; return the list of the failed attempts that each backoff was for."""
    waits: list[int] = []

    def backoff_seconds(attempts: int) -> float:
        waits.append(attempts)
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "backoff_seconds", backoff_seconds)
        yield waits


def _in_turn(stub: CalculatorStub, requests: Iterable[pb.ConverseRequest]) -> Iterator[pb.ConverseResponse]:
    """Converse, but send each request only after the answer to the previous one."""
    asked = queue.SimpleQueue[pb.ConverseRequest | None]()
    answers = converse(stub, iter(asked.get, None))
    for request in requests:
        asked.put(request)
        yield next(answers)
    asked.put(None)
    yield from answers


def _add(second: float) -> pb.ConverseRequest:
    return pb.ConverseRequest(operation=pb.OPERATION_ADD, second_operand=second)


def test_a_conversation_continues_on_another_connection_if_its_connection_freezes(
    servicer: Servicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "KEEPALIVE_MS", 200)
    monkeypatch.setattr(channel, "KEEPALIVE_TIMEOUT_MS", round(timeouts.SECONDS * 1000 / 30))
    servicer.cut_off(())
    with _started(servicer) as port, Relay(port) as relay, connect(f"localhost:{relay.port}") as opened:
        asked = queue.SimpleQueue[pb.ConverseRequest | None]()
        answers = converse(CalculatorStub(opened), iter(asked.get, None))
        asked.put(_add(1))
        assert next(answers).result == 1
        relay.freeze()
        asked.put(_add(2))
        assert next(answers).result == 3
        asked.put(None)
        assert list(answers) == []
        assert relay.connections >= 2  # on a slow machine, a ping may be answered too late


FAILS = pb.ConverseRequest(operation=pb.OPERATION_DIVIDE, second_operand=0)
NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 2.0, math.inf, math.nan])
REQUESTS = st.builds(
    pb.ConverseRequest,
    operation=st.sampled_from(pb.Operation.values()),
    first_operand=st.none() | NUMBERS,
    second_operand=NUMBERS,
)
ENDS = ["CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE"]
CUTS = st.builds(
    Cut, st.integers(0, 4), st.sampled_from([grpc.StatusCode[end] for end in ENDS]), reads_one_more=st.booleans()
)


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("ask", [converse, _in_turn])
@given(requests=st.lists(REQUESTS, max_size=12), cuts=st.lists(CUTS, max_size=ATTEMPTS - 1))
@example(requests=[_add(1), _add(2)], cuts=[Cut(1)])
@example(requests=[_add(1), FAILS, _add(2)], cuts=[Cut(1)])
def test_the_answers_equal_those_of_one_stream_wherever_it_is_cut_off(
    stub: CalculatorStub,
    servicer: Servicer,
    ask: Callable[..., Iterator[pb.ConverseResponse]],
    requests: list[pb.ConverseRequest],
    cuts: list[Cut],
) -> None:
    servicer.cut_off(cuts)
    whole = CalculatorServicer().Converse(iter(requests), cast("grpc.ServicerContext", None))
    assert [str(answer) for answer in ask(stub, requests)] == [str(answer) for answer in whole]


@pytest.mark.usefixtures("waits")
def test_the_number_of_streams_is_not_limited_if_each_has_an_answer(stub: CalculatorStub, servicer: Servicer) -> None:
    servicer.cut_off(itertools.repeat(Cut(2)))  # the first answer of a new stream is to the reminder
    assert [answer.result for answer in converse(stub, [_add(1)] * 21)] == list(range(1, 22))
    assert servicer.streams == 20


def test_without_requests_no_stream_is_opened(stub: CalculatorStub, servicer: Servicer) -> None:
    servicer.cut_off([])
    assert list(converse(stub, [])) == []
    assert servicer.streams == 0


@pytest.mark.parametrize(("answers", "streams"), [(0, ATTEMPTS), (1, ATTEMPTS + 1)])
def test_five_streams_in_a_row_without_an_answer_end_the_conversation(
    stub: CalculatorStub, servicer: Servicer, waits: list[int], answers: int, streams: int
) -> None:
    waits.clear()
    servicer.cut_off(Cut(answers, details=f"end {number}") for number in itertools.count(1))
    with pytest.raises(grpc.RpcError) as ended:
        list(converse(stub, [_add(1)] * 2))
    assert (servicer.streams, ended.value.details()) == (streams, f"end {streams}")
    assert [wait for wait in waits if wait] == list(range(1, ATTEMPTS))


@pytest.mark.usefixtures("waits")
def test_five_streams_in_a_row_that_end_with_ok_but_without_an_answer_end_the_conversation(
    stub: CalculatorStub, servicer: Servicer
) -> None:
    servicer.cut_off(itertools.repeat(Cut(0, grpc.StatusCode.OK)))
    with pytest.raises(grpc.RpcError) as ended:
        list(converse(stub, [_add(1)]))
    assert (servicer.streams, ended.value.code()) == (ATTEMPTS, grpc.StatusCode.INTERNAL)
    assert ended.value.details() == "the server ended the stream without an answer"


class Twice(CalculatorServicer):
    """A calculator that sends each answer twice."""

    def Converse(
        self, request_iterator: Iterator[pb.ConverseRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ConverseResponse]:
        for answer in super().Converse(request_iterator, context):
            yield from (answer, answer)


def test_an_answer_without_a_request_is_an_error() -> None:
    with _serving(Twice()) as stub, pytest.raises(grpc.RpcError) as ended:
        list(converse(stub, [_add(1)]))
    assert ended.value.code() is grpc.StatusCode.INTERNAL
    assert ended.value.details() == "the server sent more answers than there were requests"


class Forbidding(CalculatorServicer):
    """A calculator that ends each conversation with UNAVAILABLE, and forbids retries."""

    streams = 0

    def Converse(
        self, request_iterator: Iterator[pb.ConverseRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ConverseResponse]:
        self.streams += 1
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "-1"),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "no")


def test_no_other_stream_is_opened_if_the_server_forbids_retries() -> None:
    servicer = Forbidding()
    with _serving(servicer) as stub, pytest.raises(grpc.RpcError) as ended:
        list(converse(stub, [_add(1)]))
    assert (servicer.streams, ended.value.code()) == (1, grpc.StatusCode.UNAVAILABLE)


@pytest.mark.parametrize("code", ["INTERNAL", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNKNOWN"])
def test_a_permanent_error_is_raised_without_another_stream(
    stub: CalculatorStub, servicer: Servicer, code: str
) -> None:
    servicer.cut_off([Cut(1, grpc.StatusCode[code], "no")])
    answers = converse(stub, [_add(1)] * 2)
    assert next(answers).result == 1
    with pytest.raises(grpc.RpcError) as ended:
        next(answers)
    assert (servicer.streams, ended.value.code().name) == (1, code)


def test_a_request_after_an_idle_stream_has_reached_its_deadline_is_answered() -> None:
    asked, silence = queue.SimpleQueue[pb.ConverseRequest | None](), queue.SimpleQueue[None]()
    with _serving(CalculatorServicer(), max_deadline=0.2) as stub:
        answers = converse(stub, iter(asked.get, None))
        for result in range(1, 4):
            asked.put(_add(1))
            assert next(answers).result == result
            with pytest.raises(grpc.RpcError) as ended:  # a stream that starts later, so the first one has ended too
                next(stub.Converse(iter(silence.get, None)))
            assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            silence.put(None)
        asked.put(None)
        assert list(answers) == []
