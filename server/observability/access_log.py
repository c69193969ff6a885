"""The access log: a line on stderr for each call that is over, in either of the formats of logs.py.

Without Python's logging, whose line takes eleven times as long.
"""

import functools
import select
import sys
import threading
import time
from json import dumps
from json.encoder import encode_basestring as quoted
from typing import Any

import grpc

from server.observability import logs
from server.observability.call_record import CallRecord
from server.observability.stderr import Stderr


@functools.lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def text(call: CallRecord) -> str:
    """Return a line that a person can read."""
    now = time.time()
    line = (
        f"{_second(int(now))},{int(now % 1 * 1000):03d} INFO {call.method} {call.code.name}"
        f" duration_ms={call.duration * 1000:.3f} received_bytes={call.received_bytes} sent_bytes={call.sent_bytes}"
        f" peer={call.peer}"
    )
    for name, value in _rare_fields(call).items():
        line += f" {name}={value}"
    if call.trace:
        line += f" trace={call.trace.trace_id}"
    return logs.printable(line) + "\n"


def json(call: CallRecord, project: str = "") -> str:
    """Return a JSON object, as Cloud Run's log agent reads it.

    Args:
        call: what it is about.
        project: the Google Cloud project that its trace belongs to.
    """
    line = (
        f'{_outcome(call.method, call.code)}{call.duration * 1000:.3f}, "received_bytes": {call.received_bytes},'
        f' "sent_bytes": {call.sent_bytes}, "peer": {quoted(call.peer)}'
    )
    rare = _rare_fields(call)
    if call.trace:
        rare |= logs.trace_fields(call.trace, project)
    return f"{line}, {dumps(rare, ensure_ascii=False)[1:]}\n" if rare else f"{line}}}\n"


@functools.lru_cache(maxsize=256)
def _outcome(method: str, code: grpc.StatusCode) -> str:
    """Return the beginning of a JSON object, up to the figure of the duration."""
    fields = {"severity": "INFO", "message": f"{method} {code.name}", "method": method, "status": code.name}
    return f'{dumps(fields, ensure_ascii=False)[:-1]}, "duration_ms": '


def _rare_fields(call: CallRecord) -> dict[str, Any]:
    """Return what is not to be said of every call."""
    fields: dict[str, Any] = {}
    if (left := call.deadline_left_ms) is not None:
        fields["deadline_left_ms"] = left
    if call.caller:
        fields["caller"] = call.caller
    if call.refusal:
        fields["refusal"] = call.refusal
    return fields


class AccessLog:
    """Writes a line on stderr for each call that it is given.

    Args:
        log_format: one of logs.FORMATS.
        project: see `json`.
        is_batched: whether lines wait until they are many, or until `flush`.
    """

    def __init__(self, log_format: logs.Format, project: str = "", *, is_batched: bool = False) -> None:
        """Write nothing yet."""
        self._line = functools.partial(json, project=project) if log_format == "json" else text
        self._stderr = Stderr(sys.stderr.fileno())
        self._is_batched = is_batched
        self._size = 0
        self._lock = threading.Lock()
        self._batch: list[bytes] = []

    def __call__(self, call: CallRecord) -> None:
        """Write the line of a call."""
        line = self._line(call).encode(errors="backslashreplace")
        if not self._is_batched:
            self._stderr.write(line, 1)
            return
        with self._lock:  # a call that ends before its handler begins is written by the handler's thread
            self._add(line)

    def _add(self, line: bytes) -> None:
        # A write to a pipe of up to this size is atomic: no line of another writer gets into it.
        if self._size + len(line) > select.PIPE_BUF:
            self._write()
        self._batch.append(line)
        self._size += len(line)

    def flush(self) -> None:
        """Write the lines that wait."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._batch:
            self._stderr.write(b"".join(self._batch), len(self._batch))
            self._batch.clear()
            self._size = 0
