"""Calculates the instances and regions that a load needs on Cloud Run, and their cost in a month of 30 days.

bazel run //benchmarks:scaling [-- --capacity CALLS]. //benchmarks:capacity measures the capacity of an instance.
"""

import argparse
import math
import sys
from dataclasses import dataclass

# The utilization that the autoscaler aims at: https://cloud.google.com/run/docs/about-instance-autoscaling.
_UTILIZATION = 0.6
# The default quota of vCPUs in a region: https://cloud.google.com/run/docs/configuring/max-instances-limits.
_INSTANCES_PER_REGION = 1000
_SECONDS = 30 * 24 * 3600

_LOADS = (1_000, 100_000, 1_000_000)
_DEFAULT_CAPACITY = 5000


@dataclass(frozen=True)
class Billing:
    """The prices of a billing mode, in US dollars, for tier 1 and without the free tier.

    https://cloud.google.com/run/pricing

    Attributes:
        cpu: the price of a vCPU-second.
        memory: the price of a GiB-second.
        call: the price of a call; a stream is one call.
        memory_size: the minimum memory of our instances with this billing mode, in GiB.
    """

    cpu: float
    memory: float
    call: float
    memory_size: float

    def month(self, instances: int, calls_per_second: int) -> float:
        """Return the cost of a month, in US dollars, for instances of one vCPU that are never idle."""
        instance = self.cpu + self.memory * self.memory_size
        return _SECONDS * (instances * instance + calls_per_second * self.call)


REQUEST_BASED = Billing(cpu=0.000024, memory=0.0000025, call=0.40 / 1_000_000, memory_size=0.25)
INSTANCE_BASED = Billing(cpu=0.000018, memory=0.000002, call=0, memory_size=0.5)


def instances(calls_per_second: int, capacity: int) -> int:
    """Return the number of instances that a load needs, if one can answer at most `capacity` calls/s."""
    return math.ceil(calls_per_second / (capacity * _UTILIZATION))


def table(capacity: int) -> str:
    """Return a table of loads and their cost, in Markdown."""
    lines = [
        "| calls/s | instances | regions | request-based billing, per month | instance-based billing, per month |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for load in _LOADS:
        count = instances(load, capacity)
        costs = [billing.month(count, load) for billing in (REQUEST_BASED, INSTANCE_BASED)]
        cells = [
            f"{load:,}",
            f"{count:,}",
            f"{math.ceil(count / _INSTANCES_PER_REGION)}",
            *(f"${cost:,.0f}" for cost in costs),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Calculate the instances that loads need, and their cost.")
    parser.add_argument(
        "--capacity",
        type=int,
        default=_DEFAULT_CAPACITY,
        help=f"calls/s that one instance can answer, from 1 (default: {_DEFAULT_CAPACITY})",
    )
    arguments = parser.parse_args()
    if arguments.capacity < 1:
        parser.error(f"--capacity={arguments.capacity}: must be at least 1")
    print(table(arguments.capacity))
    return 0


if __name__ == "__main__":
    sys.exit(main())
