"""The lines of the access log for all kinds of calls."""

import json
import logging
import os
import sys
from concurrent import futures
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.observability import access_log, logs
from server.observability.call_record import CallRecord
from server.observability.trace_context import Trace

_MANY = 2000
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_TRACES = st.builds(Trace, st.just("a" * 32), st.sampled_from(["", "b" * 16]), st.booleans())
_RECORD = CallRecord("/A/\x1b[2J\ud800", grpc.StatusCode.ABORTED, 0.5, 2, 3, "ipv4:127.0.0.1:1", deadline_left_ms=2000)
_RECORDS = st.builds(
    CallRecord,
    method=_TEXTS,
    code=st.sampled_from([*grpc.StatusCode]),
    duration=st.floats(0, 1e6),
    received_bytes=st.integers(0, 2**40),
    sent_bytes=st.integers(0, 2**40),
    peer=_TEXTS,
    deadline_left_ms=st.none() | st.integers(0, 2**40),
    caller=st.none() | _TEXTS,
    refusal=st.none() | _TEXTS,
    trace=st.none() | _TRACES,
)


@given(_RECORDS)
def test_a_json_line_contains_all_fields_of_the_record(record: CallRecord) -> None:
    line = access_log.json_line("p", record)
    assert line.endswith("}\n")
    entry = json.loads(line)
    assert entry.pop("duration_ms") == pytest.approx(record.duration * 1000, abs=0.0005)
    expected = {
        "severity": "INFO",
        "message": f"{record.method} {record.code.name}",
        "method": record.method,
        "status": record.code.name,
        "received_bytes": record.received_bytes,
        "sent_bytes": record.sent_bytes,
        "peer": record.peer,
        "deadline_left_ms": record.deadline_left_ms,
        "caller": record.caller or None,
        "refusal": record.refusal or None,
        **(logs.trace_fields(record.trace, "p") if record.trace else {}),
    }
    assert entry == {name: value for name, value in expected.items() if value is not None}
    assert list(entry)[:2] == ["severity", "message"]


@given(_RECORDS)
def test_a_text_line_is_one_printable_line_for_any_client_input(record: CallRecord) -> None:
    line = access_log.text_line(record)
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert logs.printable(f" INFO {record.method} {record.code.name} duration_ms=") in line
    assert logs.printable(f" peer={record.peer}") in line
    assert (f" trace={'a' * 32}" in line) == bool(record.trace)
    assert (" deadline_left_ms=" in line) == (record.deadline_left_ms is not None)


def test_timestamps_have_the_same_format_as_in_the_application_log() -> None:
    lines = [logs.formatter("text").format(logging.makeLogRecord({"levelname": "INFO"})), access_log.text_line(_RECORD)]
    first, second = (datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f") for line in lines)  # noqa: DTZ007 - local
    assert timedelta() <= second - first < timedelta(seconds=20)
    assert {line[23:29] for line in lines} == {" INFO "}


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_a_line_with_any_characters_is_written_to_stderr(
    log_format: logs.Format, capfd: pytest.CaptureFixture[str]
) -> None:
    access_log.AccessLog(log_format)(_RECORD)
    [line] = capfd.readouterr().err.splitlines()
    assert "ABORTED" in line
    assert "deadline_left_ms" in line
    assert "\x1b" not in line


def test_a_log_without_a_reader_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr("sys.stderr", pipe)
        access_log.AccessLog("text")(_RECORD)


def test_lines_from_several_threads_are_all_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with (tmp_path / "log").open("wb") as file:
            monkeypatch.setattr("sys.stderr", file)
            log = access_log.AccessLog("json", is_batched=True)
            with futures.ThreadPoolExecutor(4) as pool:
                done = [pool.submit(_write_many, log) for _ in range(4)]
            log.flush()
    finally:
        sys.setswitchinterval(interval)
    assert [each.exception() for each in done] == [None] * 4
    assert len((tmp_path / "log").read_text("utf-8").splitlines()) == 4 * _MANY


def _write_many(log: access_log.AccessLog) -> None:
    for _ in range(_MANY):
        log(_RECORD)
