"""What a load takes on Cloud Run: instances, regions, and what they cost in a month of 30 days.

bazel run //benchmarks:scaling [-- --capacity CALLS]. An instance's capacity is what //benchmarks:capacity measures.
"""

import argparse
import math
import sys
from dataclasses import dataclass

# https://cloud.google.com/run/docs/about-instance-autoscaling: how much of an instance the autoscaler uses.
_UTILIZATION = 0.6
# https://cloud.google.com/run/docs/configuring/max-instances-limits: a region's vCPUs, until you are granted more.
_INSTANCES_A_REGION = 1000
_SECONDS = 30 * 24 * 3600

_LOADS = (1_000, 100_000, 1_000_000)
_DEFAULT_CAPACITY = 5000


@dataclass(frozen=True)
class Billing:
    """A way to be charged, in US dollars: https://cloud.google.com/run/pricing, tier 1, without what is free.

    Attributes:
        cpu: for a second of a vCPU.
        memory: for a second of a GiB.
        call: for a call; a stream is one.
        memory_size: the least memory that an instance of ours has, in GiB.
    """

    cpu: float
    memory: float
    call: float
    memory_size: float

    def month(self, instances: int, calls_a_second: int) -> float:
        """Return what instances of one vCPU that are never idle cost in a month, in US dollars."""
        instance = self.cpu + self.memory * self.memory_size
        return _SECONDS * (instances * instance + calls_a_second * self.call)


REQUEST_BASED = Billing(cpu=0.000024, memory=0.0000025, call=0.40 / 1_000_000, memory_size=0.25)
INSTANCE_BASED = Billing(cpu=0.000018, memory=0.000002, call=0, memory_size=0.5)


def instances(calls_a_second: int, capacity: int) -> int:
    """Return how many instances a load takes, if each answers `capacity` calls a second at most."""
    return math.ceil(calls_a_second / (capacity * _UTILIZATION))


def table(capacity: int) -> str:
    """Return what loads take and cost, in Markdown."""
    lines = [
        "| calls a second | instances | regions | by requests, a month | by instances, a month |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for load in _LOADS:
        count = instances(load, capacity)
        costs = [billing.month(count, load) for billing in (REQUEST_BASED, INSTANCE_BASED)]
        cells = [
            f"{load:,}",
            f"{count:,}",
            f"{math.ceil(count / _INSTANCES_A_REGION)}",
            *(f"${cost:,.0f}" for cost in costs),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Work out what loads take on Cloud Run, and cost.")
    parser.add_argument(
        "--capacity",
        type=int,
        default=_DEFAULT_CAPACITY,
        help=f"calls a second of an instance, from 1 (default: {_DEFAULT_CAPACITY})",
    )
    arguments = parser.parse_args()
    if arguments.capacity < 1:
        parser.error(f"--capacity is {arguments.capacity}: accepted is 1 or more")
    print(table(arguments.capacity))
    return 0


if __name__ == "__main__":
    sys.exit(main())
