"""The goals of the benchmarks: ratios between the figures of two servers in one run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import servers
from benchmarks.results import Measured, Results


@dataclass(frozen=True)
class Goal:
    """A goal for the ratio between the figures of two servers.

    Attributes:
        metric: the name of the metric.
        workload: the name of the workload.
        figure: returns the figure of a server, given its measurements.
        server: the name of the server whose figure is the numerator.
        baseline: the name of the server whose figure is the denominator.
        bound: the ratio to reach.
        larger_is_better: whether the ratio must be at least the bound; otherwise it must be at most the bound.
    """

    metric: str
    workload: str
    figure: Callable[[Measured], float]
    server: str
    baseline: str
    bound: float
    larger_is_better: bool = True

    def line(self, results: Results) -> str | None:
        """Return a line of the table, in Markdown; None if one of the servers was not measured with the workload."""
        of_workload = results.get(self.workload, {})
        if self.server not in of_workload or self.baseline not in of_workload:
            return None
        ratio = self.figure(of_workload[self.server]) / self.figure(of_workload[self.baseline])
        is_met = ratio >= self.bound if self.larger_is_better else ratio <= self.bound
        sign = "≥" if self.larger_is_better else "≤"
        return (
            f"| {self.workload}: {self.metric} | {self.server} | {self.baseline}"
            f" | {ratio:.2f} | {sign} {self.bound:.2f} | {'yes' if is_met else 'no'} |"
        )


_OURS, _UNLOGGED, _PLAIN = servers.OURS.name, servers.UNLOGGED.name, servers.PLAIN.name
_TUTORIAL = servers.TUTORIAL.name
_LATENCY = servers.SHAPES[0]
_MANY = servers.SHAPES[2]


def _calls(measured: Measured) -> float:
    return measured.calls_per_second


def _p50(measured: Measured) -> float:
    return measured.p50


def _p99(measured: Measured) -> float:
    return measured.p99


def _memory(measured: Measured) -> float:
    return measured.memory


GOALS = [
    Goal("calls/s", servers.UNARY, _calls, _OURS, _TUTORIAL, 8),
    Goal("calls/s", servers.UNARY, _calls, _UNLOGGED, _TUTORIAL, 10),
    Goal("calls/s", servers.UNARY, _calls, _OURS, servers.CPP, 1),
    Goal("calls/s", servers.UNARY, _calls, _UNLOGGED, servers.CPP, 1.2),
    Goal("calls/s", servers.UNARY, _calls, _UNLOGGED, servers.NATIVE.name, 2),
    Goal("calls/s", servers.UNARY, _calls, _OURS, _UNLOGGED, 0.85),
    Goal("calls/s", servers.UNARY, _calls, servers.POOL.name, _TUTORIAL, 2),
    Goal("p99", servers.UNARY, _p99, _OURS, _TUTORIAL, 0.15, larger_is_better=False),
    Goal("p50", _LATENCY, _p50, _OURS, _TUTORIAL, 0.3, larger_is_better=False),
    Goal("p50", _LATENCY, _p50, _OURS, servers.CPP, 1.1, larger_is_better=False),
    Goal("calls/s", _MANY, _calls, _OURS, _TUTORIAL, 4),
    Goal("memory", _MANY, _memory, _OURS, _TUTORIAL, 1, larger_is_better=False),
    *[Goal("calls/s", workload, _calls, _OURS, servers.STOCK.name, 6) for workload in servers.STREAMING],
    Goal("calls/s", servers.ECHO[0], _calls, _PLAIN, _TUTORIAL, 4),
    Goal("calls/s", servers.ECHO[1], _calls, _PLAIN, _TUTORIAL, 1.2),
    Goal("calls/s", servers.SLEEPING, _calls, _PLAIN, _TUTORIAL, 2),
]


def table(results: Results) -> Iterator[str]:
    """Yield the lines of the table of all goals, in Markdown."""
    yield "| workload and metric | server | baseline | ratio | goal | met |"
    yield "| --- | --- | --- | ---: | ---: | --- |"
    yield from (line for goal in GOALS if (line := goal.line(results)))
