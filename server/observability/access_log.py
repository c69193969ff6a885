"""The access log: one line on stderr for each call that has ended, in the formats of logs.py.

It does not use Python's logging, which takes eleven times as long per line.
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


def text_line(call: CallRecord) -> str:
    """Return a human-readable line."""
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


def json_line(project: str, call: CallRecord) -> str:
    """Return a line with a JSON object in the format of Cloud Run's log agent.

    Args:
        project: the Google Cloud project that the trace of the call belongs to, or "".
        call: the record of the call.
    """
    line = (
        f'{_outcome(call.method, call.code)}{call.duration * 1000:.3f}, "received_bytes": {call.received_bytes},'
        f' "sent_bytes": {call.sent_bytes}, "peer": {quoted(call.peer)}'
    )
    rare = _rare_fields(call)
    if call.trace:
        rare |= logs.trace_fields(call.trace, project)
    return f"{line}, {dumps(rare, ensure_ascii=False)[1:]}\n" if rare else line + "}\n"


@functools.lru_cache(maxsize=256)
def _outcome(method: str, code: grpc.StatusCode) -> str:
    """Return the beginning of a JSON object, up to the value of the duration."""
    fields = {"severity": "INFO", "message": f"{method} {code.name}", "method": method, "status": code.name}
    return f'{dumps(fields, ensure_ascii=False)[:-1]}, "duration_ms": '


def _rare_fields(call: CallRecord) -> dict[str, Any]:
    """Return the fields that only some calls have."""
    fields: dict[str, Any] = {}
    if (left := call.deadline_left_ms) is not None:
        fields["deadline_left_ms"] = left
    if call.caller:
        fields["caller"] = call.caller
    if call.refusal:
        fields["refusal"] = call.refusal
    return fields


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


class AccessLog:
    """Writes one line per call to stderr.

    Args:
        log_format: one of logs.FORMATS.
        project: see `json_line`.
        is_batched: whether lines are buffered until they exceed PIPE_BUF bytes, or until `flush`.
    """

    def __init__(self, log_format: logs.Format, project: str = "", *, is_batched: bool = False) -> None:
        """Start with an empty buffer."""
        self._line = functools.partial(json_line, project) if log_format == "json" else text_line
        self._stderr = Stderr(sys.stderr.fileno())
        self._is_batched = is_batched
        self._lock = threading.Lock()
        self._batch: list[str] = []
        self._size = 0  # the size of the batch in bytes

    def __call__(self, call: CallRecord) -> None:
        """Write the line of a call."""
        line = self._line(call)
        size = len(line) if line.isascii() else len(_encoded(line))
        with self._lock:  # a call that ends before its handler starts is logged in the handler's thread
            # A write of up to PIPE_BUF bytes to a pipe is atomic: it does not interleave with lines of other writers.
            if self._size + size > select.PIPE_BUF:
                self._write()
            self._batch.append(line)
            self._size += size
            if not self._is_batched:
                self._write()

    def flush(self) -> None:
        """Write the buffered lines."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._batch:
            self._stderr.write(_encoded("".join(self._batch)), len(self._batch))
            self._batch.clear()
            self._size = 0
