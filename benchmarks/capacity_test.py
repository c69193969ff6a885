"""Tests that h2load's output is parsed, and that the table has the medians."""

import pytest

from benchmarks.capacity import table
from benchmarks.load import LoadError, Sample, Workload, read

WORKLOAD = Workload("unary", "/S/M", [b"x"], [bytes(9)], calls=200)
OUTPUT = """\
finished in 2.00s, 100.00 req/s, 9.10KB/s
requests: 200 total, 200 started, 200 done, 200 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 200 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 18.21KB (18650) total, 1.17KB (1200) headers (space savings 95.00%), 2.73KB (2800) data
"""
TIMES = "".join(f"1795289577000000\t200\t{microseconds}\n" for microseconds in range(1000, 201000, 1000))


def test_a_sample_has_calls_per_second_and_latencies_in_milliseconds() -> None:
    sample = read(OUTPUT, TIMES, WORKLOAD)
    assert sample.calls_per_second == 100
    assert sample.p50 == pytest.approx(100.5)
    assert sample.p99 == pytest.approx(199, abs=0.5)


@pytest.mark.parametrize(
    ("text", "replacement"),
    [("200 succeeded, 0 failed", "199 succeeded, 1 failed"), ("(2800) data", "(2786) data"), ("req/s", "")],
)
def test_a_call_that_failed_or_has_no_response_is_an_error(text: str, replacement: str) -> None:
    with pytest.raises(LoadError, match="not every call of /S/M was answered"):
        read(OUTPUT.replace(text, replacement), TIMES, WORKLOAD)


def test_the_table_has_the_medians_of_the_rounds() -> None:
    samples = [Sample(calls_per_second=speed, p50=2, p99=3) for speed in (1, 5, 9)]
    assert table({"ours": samples}, {"ours": 50000}).splitlines()[-1] == "| ours | 5 | 1-9 | 2.0 ms | 3.0 ms | 50 MB |"
