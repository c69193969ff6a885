"""The application log: human-readable lines or, on Cloud Run, one JSON object per line."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias, get_args

from server.observability.stderr import Stderr, StderrHandler
from server.observability.trace_context import Trace

Format: TypeAlias = Literal["text", "json"]

FORMATS: tuple[Format, ...] = get_args(Format)

_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def trace_scope(trace: Trace | None) -> Iterator[None]:
    """Add a trace, if any, to all lines that are logged in this block."""
    token = _TRACE.set(trace)
    try:
        yield
    finally:
        _TRACE.reset(token)


def printable(line: str) -> str:
    """Escape characters that would start a new line or move the cursor: clients choose the names of unknown methods."""
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


def trace_fields(trace: Trace, project: str) -> dict[str, str | bool]:
    """Return the fields of a JSON line that link it to a trace in Cloud Logging.

    https://cloud.google.com/logging/docs/structured-logging#special-payload-fields

    Args:
        trace: the trace context.
        project: the Google Cloud project of the trace; if empty, the trace is named only by its ID.
    """
    fields: dict[str, str | bool] = {
        "logging.googleapis.com/trace": f"projects/{project}/traces/{trace.trace_id}" if project else trace.trace_id,
        "logging.googleapis.com/trace_sampled": trace.sampled,
    }
    return fields | {"logging.googleapis.com/spanId": trace.span_id} if trace.span_id else fields


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        line, trace = super().formatMessage(record), _TRACE.get()
        return printable(f"{line} trace={trace.trace_id}" if trace else line)


class _JsonFormatter(logging.Formatter):
    """Formats lines for Cloud Run's log agent."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {"severity": record.levelname, "message": record.getMessage()}
        if trace := _TRACE.get():
            entry |= trace_fields(trace, self._project)
        if record.exc_info:
            entry["message"] += "\n" + self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _without_metadata(record: logging.LogRecord) -> bool:
    """Remove client data: grpc logs each header that is not UTF-8, even if it is a token or very long."""
    if str(record.msg).startswith("Invalid encoding on"):
        record.msg, record.args, record.exc_info = "A caller sent metadata that is not UTF-8", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def formatter(log_format: Format, project: str = "") -> logging.Formatter:
    """Return the formatter of a log format; see `configure`."""
    return _JsonFormatter(project) if log_format == "json" else _TextFormatter()


def configure(log_format: Format, project: str = "") -> None:
    """Configure Python's logging to write to stderr.

    Args:
        log_format: one of FORMATS.
        project: the Google Cloud project of traces; if empty, a trace is named only by its ID.
    """
    handler = StderrHandler(Stderr(sys.stderr.fileno()))
    handler.setFormatter(formatter(log_format, project))
    handler.addFilter(_without_metadata)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
