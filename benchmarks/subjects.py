"""The servers under test, each a process."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks import load
from testing import programs, timeouts

_PEERS = Path("benchmarks/peers").absolute()
_PROTO = Path("proto/calculator/v1")
_STUBS = ("calculator.pb.cc", "calculator.grpc.pb.cc")


SHAPES = ("1 x 1", "1 x 100", "1000 x 1")
"""Workloads of unary calls with other numbers of connections x streams than the first workload has."""

STREAMING = ("server streaming", "client streaming", "bidirectional streaming")
ECHO = ("echo of 64 kB", "echo of 1 MB")
SLEEPING = "handler sleeps 1 ms"
UNARY = "unary"


@dataclass(frozen=True)
class Subject:
    """A server that is to be measured.

    Attributes:
        name: its name in the tables.
        command: what starts it.
        works: the names of the workloads that it is measured with.
    """

    name: str
    command: Sequence[str | Path]
    works: Sequence[str] = (UNARY, *STREAMING)


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        subject: what it is.
        process: its process.
        port: where it listens.
        log: what it writes to stderr.
    """

    subject: Subject
    process: subprocess.Popen[bytes]
    port: int
    log: IO[bytes]

    @property
    def peak_memory(self) -> int:
        """The most resident memory that it has had, in kB."""
        return programs.figure(self.process.pid, "VmHWM")

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used, in all its threads."""
        # clock_getcpuclockid(3), which Python has only for threads.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def forget_log(self) -> None:
        """Make room on the disk."""
        os.ftruncate(self.log.fileno(), 0)


# A thousand connections have a call each.
_OUR_COMMAND: list[str | Path] = [programs.SERVER, "--log-format=json", "--max-concurrent-calls=1000"]

TUTORIAL = Subject("tutorial: grpc.server", [_PEERS / "tutorial"], (UNARY, *SHAPES, *STREAMING, *ECHO, SLEEPING))
AIO = Subject("grpc.aio, asyncio", [_PEERS / "aio"])
STOCK = Subject("ours, --engine=stock", [*_OUR_COMMAND, "--engine=stock"], (UNARY, *SHAPES, *STREAMING))
OURS = Subject("ours", _OUR_COMMAND, (UNARY, *SHAPES, *STREAMING))
UNLOGGED = Subject("ours, --no-access-log", [*_OUR_COMMAND, "--no-access-log"], (UNARY, *SHAPES, *STREAMING))
PLAIN = Subject("nggrpc.server", [_PEERS / "plain_nggrpc"], TUTORIAL.works)
POOL = Subject("nggrpc.server, thread pool", [_PEERS / "plain_nggrpc", "pool"], (UNARY, *STREAMING))
NATIVE = Subject("pygrpc_native.server", [_PEERS / "native"], TUTORIAL.works)
PYTHON = [
    TUTORIAL,
    AIO,
    Subject("grpc.aio, uvloop", [_PEERS / "aio", "uvloop"]),
    Subject("grpclib", [_PEERS / "pure_python"]),
    NATIVE,
    Subject("pygrpc-native, low-level API", [_PEERS / "native", "events"], (UNARY, *SHAPES, *ECHO)),
    STOCK,
    OURS,
    UNLOGGED,
    PLAIN,
    POOL,
]
"""The servers in Python."""

CPP = "gRPC in C++, callbacks"
"""The name of the server that `in_cpp` makes."""


def in_cpp(folder: Path) -> Subject | None:
    """Make the server in C++, if this machine has what it takes: Debian's libgrpc++-dev and protobuf-compiler-grpc.

    Args:
        folder: where.
    """
    programs_needed = ("g++", "grpc_cpp_plugin", "pkg-config", "protoc")
    [compiler, plugin, pkg_config, protoc] = [shutil.which(name) for name in programs_needed]
    if not (compiler and plugin and pkg_config and protoc):
        return None
    found = subprocess.run(
        [pkg_config, "--cflags", "--libs", "grpc++", "protobuf"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        return None
    outputs = [f"--cpp_out={folder}", f"--grpc_out={folder}", f"--plugin=protoc-gen-grpc={plugin}"]
    # Proto3's optional fields were an experiment when Debian's protoc was made.
    stubs = [protoc, "--experimental_allow_proto3_optional", f"-I{_PROTO}", *outputs, "calculator.proto"]
    subprocess.run(stubs, check=True)
    program = folder / "callback_server"
    sources = [_PEERS / "callback_server.cc", *(folder / stub for stub in _STUBS)]
    subprocess.run(
        [compiler, "-O2", "-std=c++17", f"-I{folder}", *sources, "-o", program, *found.stdout.split()], check=True
    )
    return Subject(CPP, [program], (UNARY, *SHAPES, *ECHO))


@contextmanager
def running(subject: Subject, core: int | None = None) -> Iterator[Running]:
    """Start a server, on one core if one is given, and kill it on exit.

    Raises:
        LoadError: it does not listen.
    """
    # A pipe would need somebody to read it, on the core that the load has, and a disk is in its own time.
    with tempfile.TemporaryFile("a+b", dir="/dev/shm") as log:
        process = subprocess.Popen(subject.command, stderr=log, env=os.environ | {"PORT": "0"})
        try:
            port = _port(subject, process, log)
            if core is not None:
                load.pin(process.pid, core)
            yield Running(subject, process, port, log)
        finally:
            process.kill()
            process.wait()


def _port(subject: Subject, process: subprocess.Popen[bytes], log: IO[bytes]) -> int:
    ends, said = time.monotonic() + timeouts.SECONDS, ""
    has_ended = False
    while time.monotonic() < ends and not has_ended:
        has_ended = process.poll() is not None
        log.seek(0)
        said = log.read().decode(errors="replace")
        if announced := re.search(r"Listening on \S*:([0-9]+)\D", said):
            return int(announced[1])
        time.sleep(0.05)
    raise load.LoadError(f"{subject.name} does not listen, but says:\n{said}")
