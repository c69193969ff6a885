"""Trace contexts in metadata: examples from the two specifications, and invalid values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.observability import trace_context
from server.observability.trace_context import Trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("metadata", "trace"),
    [
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, Trace(TRACE, SPAN, sampled=True)),
        ({"traceparent": f"00-{TRACE}-{SPAN}-02"}, Trace(TRACE, SPAN)),
        ({"traceparent": f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"}, Trace(TRACE, SPAN, sampled=True)),
        ({"x-cloud-trace-context": f"{TRACE.upper()}/67667974448284343;o=1"}, Trace(TRACE, SPAN, sampled=True)),
        ({"x-cloud-trace-context": f"{TRACE}/1;o=0"}, Trace(TRACE, "0000000000000001")),
        ({"x-cloud-trace-context": f"{TRACE}/1"}, Trace(TRACE, "0000000000000001")),
        ({"x-cloud-trace-context": TRACE}, Trace(TRACE)),
        ({"x-cloud-trace-context": f"{TRACE}/0"}, Trace(TRACE)),
        ({"x-cloud-trace-context": f"{TRACE}/18446744073709551616"}, Trace(TRACE)),
        (
            {"traceparent": f"00-{TRACE}-{SPAN}-00", "x-cloud-trace-context": f"{'1' * 32}/1;o=1"},
            Trace(TRACE, SPAN),
        ),
        ({"traceparent": "nonsense", "x-cloud-trace-context": f"{TRACE}/1"}, Trace(TRACE, "0000000000000001")),
    ],
)
def test_valid_headers_yield_their_trace_context(metadata: dict[str, str], trace: Trace) -> None:
    assert trace_context.of_metadata(metadata.items()) == trace


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01\n",
        "0" * 32 + "/1",
    ],
)
def test_invalid_headers_yield_none(header: str) -> None:
    assert trace_context.of_metadata([("traceparent", header), ("x-cloud-trace-context", header)]) is None


@given(st.text() | st.binary(), st.text() | st.binary())
def test_random_headers_yield_none_and_do_not_raise(traceparent: str | bytes, cloud: str | bytes) -> None:
    assert trace_context.of_metadata([("traceparent", traceparent), ("x-cloud-trace-context", cloud)]) is None
