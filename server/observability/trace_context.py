"""The trace context in the metadata of a call."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

_TRACEPARENT: Final = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_CLOUD: Final = re.compile(r"(?!0{32})(?P<trace>[0-9a-fA-F]{32})(/(?P<span>[0-9]{1,20}))?(;o=(?P<options>[0-9]))?")

_LARGEST_SPAN: Final = 2**64 - 1

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True)
class Trace:
    """A trace context: a trace and a span in it.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits; empty if only the trace is known.
        sampled: whether the trace is recorded.
    """

    trace_id: str
    span_id: str = ""
    sampled: bool = False


def of_metadata(metadata: Metadata) -> Trace | None:
    """Return the caller's trace context, or None if the metadata does not have a valid one.

    Args:
        metadata: the metadata of the call. The function reads `traceparent`
            (https://www.w3.org/TR/trace-context/#traceparent-header), or else `x-cloud-trace-context`
            (https://cloud.google.com/trace/docs/trace-context). Cloud Run sends both.
    """
    parent = cloud = ""
    for key, value in metadata:
        if key == "traceparent" and isinstance(value, str):
            parent = value
        elif key == "x-cloud-trace-context" and isinstance(value, str):
            cloud = value
    return (_of_traceparent(parent) if parent else None) or (_of_cloud(cloud) if cloud else None)


def _of_traceparent(header: str) -> Trace | None:
    match = _TRACEPARENT.fullmatch(header)
    if not match or (match["more"] and match["version"] == "00"):  # later versions may have more fields
        return None
    return Trace(match["trace"], match["span"], sampled=bool(int(match["flags"], 16) & 1))


def _of_cloud(header: str) -> Trace | None:
    match = _CLOUD.fullmatch(header)
    if not match:
        return None
    span = int(match["span"] or 0)
    return Trace(
        match["trace"].lower(),
        f"{span:016x}" if 0 < span <= _LARGEST_SPAN else "",
        sampled=int(match["options"] or 0) % 2 == 1,
    )
