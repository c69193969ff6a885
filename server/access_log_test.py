"""The lines of the access log, of calls of every kind."""

import json
import logging
import os
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import access_log, logs
from server.call import Call
from server.tracing import Trace

_SOMETHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_TRACES = st.builds(Trace, st.just("a" * 32), st.sampled_from(["", "b" * 16]), st.booleans())
_FOREVER = 1e9
_HANDLER: "grpc.RpcMethodHandler[bytes, bytes]" = grpc.unary_unary_rpc_method_handler(lambda request, _context: request)


def _call(peer: str = "ipv4:127.0.0.1:1", left: float = 2, code: grpc.StatusCode | None = None, **facts: Any) -> Call:  # noqa: ANN401
    context = mock.NonCallableMock(spec=grpc.ServicerContext)
    context.invocation_metadata.return_value = ()
    context.peer.return_value = peer
    context.time_remaining.return_value = left
    context.code.return_value = code
    call = Call("/A/\x1b[2J\ud800", _HANDLER, context)
    for name, value in facts.items():
        setattr(call, name, value)
    return call


_CALLS = st.builds(
    _call,
    peer=_SOMETHING,
    left=st.sampled_from([0, 1.5, _FOREVER]),
    code=st.sampled_from([None, *grpc.StatusCode]),
    method=_SOMETHING,
    trace=st.none() | _TRACES,
    caller=st.none() | _SOMETHING,
    refusal=st.none() | _SOMETHING,
    received_bytes=st.integers(0, 2**40),
)


@given(_CALLS)
def test_a_line_of_json_says_it_all(call: Call) -> None:
    line = access_log.json(call, "p")
    assert line.endswith("}\n")
    entry = json.loads(line)
    assert 0 <= entry.pop("duration_ms") < 20_000
    expected = {
        "severity": "INFO",
        "message": f"{call.method} {call.status.name}",
        "method": call.method,
        "status": call.status.name,
        "received_bytes": call.received_bytes,
        "sent_bytes": 0,
        "peer": call.peer,
        "deadline_left_ms": call.deadline_left_ms,
        "caller": call.caller or None,
        "refusal": call.refusal or None,
        **(logs.trace_fields(call.trace, "p") if call.trace else {}),
    }
    assert entry == {name: value for name, value in expected.items() if value is not None}
    assert list(entry)[:2] == ["severity", "message"]


@given(_CALLS)
def test_a_line_of_text_is_one_line_whatever_a_client_made_up(call: Call) -> None:
    line = access_log.text(call)
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert logs.printable(f" INFO {call.method} {call.status.name} duration_ms=") in line
    assert logs.printable(f" peer={call.peer}") in line
    assert (f" trace={'a' * 32}" in line) == bool(call.trace)
    assert (" deadline_left_ms=" in line) == (call.deadline_left_ms is not None)


def test_its_time_is_that_of_the_other_lines() -> None:
    said = [logs.formatter("text").format(logging.makeLogRecord({"levelname": "INFO"})), access_log.text(_call())]
    first, second = (datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f") for line in said)  # noqa: DTZ007 - local
    assert timedelta() <= second - first < timedelta(seconds=20)
    assert {line[23:29] for line in said} == {" INFO "}


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_it_goes_to_stderr_whatever_characters_it_has(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    access_log.AccessLog(log_format)(_call(code=grpc.StatusCode.ABORTED))
    [line] = capfd.readouterr().err.splitlines()
    assert "ABORTED" in line
    assert "deadline_left_ms" in line
    assert "\x1b" not in line


def test_a_log_that_nobody_reads_any_more_ends_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr("sys.stderr", pipe)
        access_log.AccessLog("text")(_call())
