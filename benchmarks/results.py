"""The measurements of a server with a workload, and their table."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from benchmarks.load import Sample, Workload


@dataclass
class Measured:
    """The rounds of one server with one workload.

    Attributes:
        samples: the figures of each round.
        cpu_microseconds: the CPU time of the server per call, in each round.
        memory: the peak resident memory of the server, in kB.
    """

    samples: list[Sample] = field(default_factory=list)
    cpu_microseconds: list[float] = field(default_factory=list)
    memory: int = 0

    def _median(self, figure: Callable[[Sample], float]) -> float:
        return float(statistics.median(map(figure, self.samples)))

    @property
    def calls_per_second(self) -> float:
        """The median of the calls per second."""
        return self._median(lambda sample: sample.calls_per_second)

    @property
    def p50(self) -> float:
        """The median of the median latencies, in milliseconds."""
        return self._median(lambda sample: sample.p50)

    @property
    def p99(self) -> float:
        """The median of the 99th percentiles of the latency, in milliseconds."""
        return self._median(lambda sample: sample.p99)


Results: TypeAlias = dict[str, dict[str, Measured]]
"""All measurements, by workload and then by server."""


def table(workload: Workload, of_workload: dict[str, Measured], references: dict[str, str]) -> Iterator[str]:
    """Yield the lines of the table of one workload, in Markdown; it has messages/s if a call has several messages.

    Args:
        workload: the workload.
        of_workload: the measurements of each server.
        references: the servers to compare with; each has a column of ratios, with this heading.
    """
    unit = "messages/s" if workload.messages > 1 else "calls/s"
    figures = (unit, "min-max", *references.values(), "p50", "p99", "CPU/call", "memory")
    yield f"| server | {' | '.join(figures)} |"
    yield "| --- |" + " ---: |" * len(figures)
    for name, measured in of_workload.items():
        speeds = [sample.calls_per_second * workload.messages for sample in measured.samples]
        ratios = [
            f"{measured.calls_per_second / of_workload[reference].calls_per_second:.2f}"
            if reference in of_workload
            else "-"
            for reference in references
        ]
        cells = (
            f"{measured.calls_per_second * workload.messages:.0f}",
            f"{min(speeds):.0f}-{max(speeds):.0f}",
            *ratios,
            f"{measured.p50:.2f} ms",
            f"{measured.p99:.2f} ms",
            f"{statistics.median(measured.cpu_microseconds):.0f} µs",
            f"{measured.memory / 1000:.0f} MB",
        )
        yield f"| {name} | {' | '.join(cells)} |"
