"""What the server writes: a line a person can read, or on Cloud Run a JSON object a line."""

import json
import logging
from typing import Any

FORMATS = ("text", "json")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record says beside its message: the `fields` of its `extra`, without those that have no value."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return {name: value for name, value in fields.items() if value is not None}


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        unsaid = {name: value for name, value in _fields(record).items() if f"%({name})s" not in str(record.msg)}
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in unsaid.items())])


class _JsonFormatter(logging.Formatter):
    """What Cloud Run's log agent reads: https://cloud.google.com/run/docs/logging#writing_structured_logs."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {"severity": record.levelname, "message": record.getMessage()} | _fields(record)
        if record.exc_info:
            entry["message"] += "\n" + self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(log_format: str) -> None:
    """Write the log to stderr, in one of FORMATS."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
