"""Tests that Cloud Logging understands the JSON lines of both logs, according to Google's documentation."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from server.observability import access_log, logs, trace_context
from server.observability.call_record import CallRecord
from server.observability.trace_context import Trace
from testing import discovery

# The types of the API, in the form that Google generates its clients from.
TYPES = json.loads(Path(os.environ["LOGGING_API"]).read_text(encoding="utf-8"))["schemas"]
DESCRIPTIONS = {name: field.get("description", "") for name, field in TYPES["LogEntry"]["properties"].items()}
PREFIX = "logging.googleapis.com/"
# The fields that the log agent moves from a JSON line to fields of the LogEntry:
# https://cloud.google.com/logging/docs/structured-logging#special-payload-fields. It keeps `message` in the payload.
SPECIAL = {
    "httpRequest": "httpRequest",
    "severity": "severity",
    "time": "timestamp",
    "timestamp": "timestamp",
    f"{PREFIX}insertId": "insertId",
    f"{PREFIX}labels": "labels",
    f"{PREFIX}operation": "operation",
    f"{PREFIX}sourceLocation": "sourceLocation",
    f"{PREFIX}spanId": "spanId",
    f"{PREFIX}trace": "trace",
    f"{PREFIX}trace_sampled": "traceSampled",
}
TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
CALL = CallRecord("/a.B/C", grpc.StatusCode.OK, 0.5, 2, 3, "ipv4:127.0.0.1:1", 2000, "a@example.com", "expired", TRACE)


def _message(level: int) -> str:
    try:
        int("an error with a traceback")
    except ValueError:
        record = logging.LogRecord("server", level, "file.py", 1, "text", (), sys.exc_info())
    with logs.trace_scope(TRACE):
        return logs.formatter("json", "my-project").format(record)


LINES = [access_log.json_line("my-project", CALL), *map(_message, [10, 20, 30, 40, 50])]


def _entry(line: str) -> dict[str, Any]:
    """Return the LogEntry that the log agent makes of a line, without its payload."""
    return {SPECIAL[name]: value for name, value in json.loads(line).items() if name in SPECIAL}


@pytest.mark.parametrize("line", LINES)
def test_every_special_field_is_a_field_of_the_log_entry_with_its_type(line: str) -> None:
    entry = _entry(line)
    assert entry.keys() == {"severity", "trace", "spanId", "traceSampled"}
    assert discovery.errors(TYPES, "LogEntry", entry) == []
    assert isinstance(json.loads(line)["message"], str)


@pytest.mark.parametrize("line", LINES)
def test_no_other_field_has_the_prefix_of_special_fields(line: str) -> None:
    assert [name for name in json.loads(line) if name.startswith(PREFIX) and name not in SPECIAL] == []


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("severity", "WARN", "'WARN' is not one of"), ("traceSampled", "true", "is not of type 'boolean'")],
)
def test_a_wrong_value_is_found(name: str, value: str, error: str) -> None:
    assert error in str(discovery.errors(TYPES, "LogEntry", {name: value}))


def test_trace_and_span_have_the_form_of_googles_examples() -> None:
    trace = Trace("12345")
    named = logs.trace_fields(trace, "my-trace-project")[f"{PREFIX}trace"]
    assert f'"{named}"' in DESCRIPTIONS["trace"]
    assert f'should use "{logs.trace_fields(trace, "")[f"{PREFIX}trace"]}"' in DESCRIPTIONS["trace"]
    parent = trace_context.of_metadata([("x-cloud-trace-context", f"{TRACE.trace_id}/{0x4A}")])
    assert parent
    assert f" {parent.span_id} " in DESCRIPTIONS["spanId"]
