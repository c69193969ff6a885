"""The access log: a line on stderr for each call that is over, in either of the formats of logs.py.

Without Python's logging, which would take a third of what a small call takes in all.
"""

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable
from json import dumps
from json.encoder import encode_basestring as quoted
from typing import Any

from server import logs
from server.call import Call


@functools.lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def text(call: Call) -> str:
    """Return a line that a person can read."""
    now = time.time()
    line = (
        f"{_second(int(now))},{int(now % 1 * 1000):03d} INFO {call.method} {call.status.name}"
        f" duration_ms={call.duration * 1000:.3f} received_bytes={call.received_bytes} sent_bytes={call.sent_bytes}"
        f" peer={call.peer}"
    )
    for name, value in _rare_fields(call).items():
        line += f" {name}={value}"
    if call.trace:
        line += f" trace={call.trace.trace_id}"
    return logs.printable(line) + "\n"


def json(call: Call, project: str = "") -> str:
    """Return a JSON object, as Cloud Run's log agent reads it.

    Args:
        call: what it is about.
        project: the Google Cloud project that its trace belongs to.
    """
    line = (
        f'{_outcome(call.method, call.status.name)}, "duration_ms": {call.duration * 1000:.3f},'
        f' "received_bytes": {call.received_bytes}, "sent_bytes": {call.sent_bytes}, "peer": {quoted(call.peer)}'
    )
    rare = _rare_fields(call)
    if call.trace:
        rare |= logs.trace_fields(call.trace, project)
    return f"{line}, {dumps(rare, ensure_ascii=False)[1:]}\n" if rare else f"{line}}}\n"


@functools.lru_cache(maxsize=256)
def _outcome(method: str, status: str) -> str:
    fields = {"severity": "INFO", "message": f"{method} {status}", "method": method, "status": status}
    return dumps(fields, ensure_ascii=False)[:-1]


def _rare_fields(call: Call) -> dict[str, Any]:
    """Return what is not to be said of every call."""
    fields: dict[str, Any] = {}
    if (left := call.deadline_left_ms) is not None:
        fields["deadline_left_ms"] = left
    if call.caller:
        fields["caller"] = call.caller
    if call.refusal:
        fields["refusal"] = call.refusal
    return fields


def writer(log_format: str, project: str = "") -> Callable[[Call], None]:
    """Return what writes the line of a call.

    Args:
        log_format: one of logs.FORMATS.
        project: see `json`.
    """
    line = functools.partial(json, project=project) if log_format == "json" else text
    stderr = sys.stderr.fileno()

    def write(call: Call) -> None:
        # As with logging: whoever reads the log may have gone, and there is nobody else to tell.
        with contextlib.suppress(OSError):
            os.write(stderr, line(call).encode(errors="backslashreplace"))

    return write
