"""Measures the throughput and latency of one instance of the image on one core.

bazel run //benchmarks:capacity [-- --rounds N] [--json]. The container has one core, and h2load has another one. The
number of calls in flight is Cloud Run's default concurrency. Three servers take turns, for N rounds each: the server as
it runs on Cloud Run, with --engine=stock, and with identity-token verification (the token is cached). The total
response size is checked, which detects failed calls.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bazel.oci.container import Container
from bazel.oci.layout import Layout
from benchmarks.load import CONNECTIONS, STREAMS, Load, LoadError, Sample, cores, pin
from benchmarks.workloads import workloads
from testing import image_server, programs
from testing.fakes.id_token_issuer import ACCOUNT, Issuer
from testing.fakes.jwks_server import JwksServer

_AUDIENCE = "https://localhost"


@dataclass(frozen=True)
class Instance:
    """An instance of the image that is measured.

    Attributes:
        server: the running server.
        process: the ID of the server's process, as seen from outside the container.
        headers: the headers of each call, as "name: value".
    """

    server: programs.Server
    process: int
    headers: tuple[str, ...] = ()


def _instances(container: Container, core: int, stack: ExitStack) -> Iterator[tuple[str, Instance]]:
    """Start each server on a core, and yield it with its name; the servers run until the stack is closed."""
    issuer = Issuer()
    keys = stack.enter_context(JwksServer(issuer))
    rules = (f"--allowed-audience={_AUDIENCE}", f"--allowed-caller={ACCOUNT}", f"--identity-keys={keys.url}")
    token = f"authorization: Bearer {issuer.token(_AUDIENCE)}"
    for name, flags, headers in (
        ("as on Cloud Run", (), ()),
        ("with --engine=stock", ("--engine=stock",), ()),
        ("verifying identity tokens", ("--require-identity-token", *rules), (token,)),
    ):
        server = stack.enter_context(image_server.serving(container, *flags, K_SERVICE="calculator"))
        process = container.process(server.process.pid)
        pin(process, core)
        yield name, Instance(server, process, headers)


def table(measured: dict[str, list[Sample]], memory: dict[str, int]) -> str:
    """Return a table of the medians of all rounds, in Markdown.

    Args:
        measured: the rounds of each server.
        memory: the peak resident memory of each server, in kB.
    """
    lines = [
        "| server | calls/s | min-max | p50 | p99 | memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, samples in measured.items():
        speeds = [sample.calls_per_second for sample in samples]
        median, slow = (statistics.median(getattr(s, field) for s in samples) for field in ("p50", "p99"))
        lines.append(
            f"| {name} | {statistics.median(speeds):.0f} | {min(speeds):.0f}-{max(speeds):.0f}"
            f" | {median:.1f} ms | {slow:.1f} ms | {memory[name] / 1000:.0f} MB |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description="Measure the calls/s and latency of an instance on one core.")
    parser.add_argument("bubblewrap", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("h2load", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server, from 1 (default: 5)")
    parser.add_argument("--calls", type=int, default=20000, help="calls in a round, from 100 (default: 20000)")
    parser.add_argument("--json", action="store_true", help="print the figures of every round, in JSON")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.calls < 100:  # noqa: PLR2004
        parser.error("--rounds must be at least 1, and --calls at least 100")
    try:
        [server_core, load_core, *_] = cores()
    except LoadError as error:
        parser.error(str(error))
    os.sched_setaffinity(0, {load_core})
    [workload, *_] = workloads(arguments.calls)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "root").mkdir()
        container = Container(Layout(Path("deploy/image")), folder / "root", arguments.bubblewrap)
        load = Load(arguments.h2load, folder)
        instances = dict(_instances(container, server_core, stack))
        measured: dict[str, list[Sample]] = {instance: [] for instance in instances}
        for counts in [False] + [True] * arguments.rounds:  # the first round is a warm-up
            for instance_name, instance in instances.items():
                sample = load.send(workload, instance.server.port, instance.headers)
                if counts:
                    measured[instance_name].append(sample)
        memory = {name: programs.figure(instance.process, "VmHWM") for name, instance in instances.items()}
    if arguments.json:
        print(json.dumps({name: [asdict(sample) for sample in samples] for name, samples in measured.items()}))
    else:
        flight = f"{CONNECTIONS * STREAMS} in flight, one core, {platform.machine()}"
        print(f"{arguments.rounds} rounds of {arguments.calls} calls, {flight}")
        print(f"\n{table(measured, memory)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
