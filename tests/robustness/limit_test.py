"""Tests of the limit on concurrent calls: no call below it fails, and every call above it is refused with a reason."""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from calculator.v1 import calculator_pb2 as pb
from calculator.v1 import calculator_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from testing import programs, timeouts
from testing.open_call import OpenCall
from testing.raw_http2 import prefixed

H2LOAD = Path(os.environ["H2LOAD"]).absolute()
METHOD = "/calculator.v1.Calculator/Calculate"
ADD = pb.CalculateRequest(operation=pb.OPERATION_ADD, first_operand=2, second_operand=3)
FIVE = pb.CalculateResponse(result=5)


@contextmanager
def _own_connection(server: programs.Server) -> Iterator[calculator_pb2_grpc.CalculatorStub]:
    """Open a channel that shares its connection with no other channel of this process."""
    with grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield calculator_pb2_grpc.CalculatorStub(channel)


def _statuses(server: programs.Server) -> Counter[str]:
    """Count the statuses of Calculate in the access log."""
    return Counter(re.findall(rf"{METHOD} (\w+) duration_ms=", "\n".join(server.log)))


def test_a_grpc_client_with_as_many_threads_as_the_limit_loses_no_call() -> None:
    threads, calls = 100, 200
    with (
        programs.serving(f"--max-concurrent-calls={threads}") as server,
        _own_connection(server) as stub,
        futures.ThreadPoolExecutor(threads) as pool,
    ):

        def call_repeatedly(_thread: int) -> None:
            for _ in range(calls):
                assert stub.Calculate(ADD, timeout=timeouts.SECONDS) == FIVE

        list(pool.map(call_repeatedly, range(threads)))
        programs.eventually(lambda: _statuses(server) == {"OK": threads * calls})


def test_an_http2_client_that_reuses_each_stream_slot_immediately_loses_no_call(tmp_path: Path) -> None:
    streams, calls = 100, 10_000
    body = tmp_path / "body"
    body.write_bytes(prefixed(ADD.SerializeToString()))
    with programs.serving(f"--max-concurrent-calls={streams}") as server:
        options = [f"--requests={calls}", f"--max-concurrent-streams={streams}", f"--data={body}"]
        headers = ["--header=content-type: application/grpc", "--header=te: trailers"]
        loaded = programs.run([H2LOAD, *options, *headers, f"http://127.0.0.1:{server.port}{METHOD}"])
        assert f"{calls} succeeded, 0 failed" in loaded.stdout, loaded.stdout
        programs.eventually(lambda: _statuses(server) == {"OK": calls})


def test_every_call_above_the_limit_is_refused_with_a_reason_and_a_log_line() -> None:
    limit, connections, calls = 5, 4, 200
    with programs.serving(f"--max-concurrent-calls={limit}") as server, ExitStack() as opened:
        channel = opened.enter_context(grpc.insecure_channel(server.address))
        in_flight = [OpenCall(channel) for _ in range(limit)]
        stubs = [opened.enter_context(_own_connection(server)) for _ in range(connections)]
        refused = [
            stub.Calculate.future(ADD, timeout=timeouts.SECONDS)
            for stub, _ in itertools.product(stubs, range(calls // connections))
        ]
        assert Counter(map(_reason, refused)) == {"RESOURCE_EXHAUSTED: TOO_MUCH": calls}
        programs.eventually(lambda: _statuses(server) == {"RESOURCE_EXHAUSTED": calls})
        assert [call.end() for call in in_flight] == [grpc.StatusCode.OK] * limit


def _reason(call: "grpc.Future[pb.CalculateResponse]") -> str:
    """Return the status code and the ErrorInfo reason of a call that failed."""
    error = call.exception()
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    information = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        detail.Unpack(information)
    return f"{error.code().name}: {information.reason or error.details()}"
