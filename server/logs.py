"""What the server writes: a line a person can read, or on Cloud Run a JSON object a line."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from server.tracing import Trace

FORMATS = ("text", "json")

_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def within(trace: Trace | None) -> Iterator[None]:
    """Have every line that the block writes say which trace it belongs to."""
    token = _TRACE.set(trace)
    try:
        yield
    finally:
        _TRACE.reset(token)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record says beside its message: the `fields` of its `extra`, without those that have no value."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return {name: value for name, value in fields.items() if value is not None}


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        unsaid = {name: value for name, value in _fields(record).items() if f"%({name})s" not in str(record.msg)}
        trace = _TRACE.get()
        if trace:
            unsaid["trace"] = trace.trace_id
        line = " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in unsaid.items())])
        # Clients make up the names of methods: what would begin a line of their own, or move the cursor, is escaped.
        return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


class _JsonFormatter(logging.Formatter):
    """What Cloud Run's log agent reads: https://cloud.google.com/logging/docs/structured-logging#special-payload-fields."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._traces = f"projects/{project}/traces/" if project else ""

    def format(self, record: logging.LogRecord) -> str:
        entry = {"severity": record.levelname, "message": record.getMessage()} | _fields(record)
        trace = _TRACE.get()
        if trace:
            entry["logging.googleapis.com/trace"] = self._traces + trace.trace_id
            entry["logging.googleapis.com/trace_sampled"] = trace.sampled
            if trace.span_id:
                entry["logging.googleapis.com/spanId"] = trace.span_id
        if record.exc_info:
            entry["message"] += "\n" + self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def _without_metadata(record: logging.LogRecord) -> bool:
    """Leave out what a caller sent: grpc writes down each header that is not UTF-8, be it a token, or very long."""
    if str(record.msg).startswith("Invalid encoding on"):
        record.msg, record.args, record.exc_info = "A caller sent metadata that is not UTF-8", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def formatter(log_format: str, project: str = "") -> logging.Formatter:
    """Return what writes a line; see `configure`."""
    return _JsonFormatter(project) if log_format == "json" else _TextFormatter()


def configure(log_format: str, project: str = "") -> None:
    """Write the log to stderr.

    Args:
        log_format: one of FORMATS.
        project: the Google Cloud project that traces belong to; without one, a trace is named by its id alone.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(log_format, project))
    handler.addFilter(_without_metadata)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
