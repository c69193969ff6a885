"""The servers under test, each of which runs as a process."""

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
"""Workloads of unary calls with other numbers of connections x streams than the workload "unary"."""

STREAMING = ("server streaming", "client streaming", "bidirectional streaming")
ECHO = ("echo of 64 kB", "echo of 1 MB")
SLEEPING = "handler sleeps 1 ms"
UNARY = "unary"


@dataclass(frozen=True)
class Server:
    """A server under test.

    Attributes:
        name: its name in the tables.
        command: its command line.
        workloads: the names of the workloads that it is measured with.
    """

    name: str
    command: Sequence[str | Path]
    workloads: Sequence[str] = (UNARY, *STREAMING)


@dataclass(frozen=True)
class Running:
    """A running server.

    Attributes:
        server: the server.
        process: its process.
        port: the port that it listens on.
        log: its stderr, a file.
    """

    server: Server
    process: subprocess.Popen[bytes]
    port: int
    log: IO[bytes]

    @property
    def peak_memory(self) -> int:
        """The peak resident memory, in kB."""
        return programs.figure(self.process.pid, "VmHWM")

    @property
    def cpu_seconds(self) -> float:
        """The CPU time of all its threads, in seconds."""
        # This is clock_getcpuclockid(3), which Python has only for threads.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def truncate_log(self) -> None:
        """Truncate the log, which is in memory."""
        os.ftruncate(self.log.fileno(), 0)


# The workload "1000 x 1" has a thousand calls in flight.
_OUR_COMMAND: list[str | Path] = [programs.SERVER, "--log-format=json", "--max-concurrent-calls=1000"]

TUTORIAL = Server("tutorial: grpc.server", [_PEERS / "tutorial_server"], (UNARY, *SHAPES, *STREAMING, *ECHO, SLEEPING))
AIO = Server("grpc.aio, asyncio", [_PEERS / "grpc_aio_server"])
STOCK = Server("ours, --engine=stock", [*_OUR_COMMAND, "--engine=stock"], (UNARY, *SHAPES, *STREAMING))
OURS = Server("ours", _OUR_COMMAND, (UNARY, *SHAPES, *STREAMING))
UNLOGGED = Server("ours, --no-access-log", [*_OUR_COMMAND, "--no-access-log"], (UNARY, *SHAPES, *STREAMING))
PLAIN = Server("nggrpc.server", [_PEERS / "nggrpc_server"], TUTORIAL.workloads)
POOL = Server("nggrpc.server, thread pool", [_PEERS / "nggrpc_server", "pool"], (UNARY, *STREAMING))
NATIVE = Server("pygrpc_native.server", [_PEERS / "pygrpc_native_server"], TUTORIAL.workloads)
PYTHON = [
    TUTORIAL,
    AIO,
    Server("grpc.aio, uvloop", [_PEERS / "grpc_aio_server", "uvloop"]),
    Server("grpclib", [_PEERS / "grpclib_server"]),
    NATIVE,
    Server("pygrpc-native, low-level API", [_PEERS / "pygrpc_native_server", "events"], (UNARY, *SHAPES, *ECHO)),
    STOCK,
    OURS,
    UNLOGGED,
    PLAIN,
    POOL,
]
"""The servers in Python."""

GO = Server("grpc-go", [_PEERS / "grpc_go_server"], (UNARY, *SHAPES, *STREAMING, *ECHO))

CPP = "gRPC in C++, callbacks"
"""The name of the server that `in_cpp` builds."""


def in_cpp(folder: Path) -> Server | None:
    """Build the server in C++; return None if Debian's libgrpc++-dev and protobuf-compiler-grpc are not installed.

    Args:
        folder: the folder to build it in.
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
    # Debian's protoc is from the time when optional fields were experimental in proto3.
    stubs = [protoc, "--experimental_allow_proto3_optional", f"-I{_PROTO}", *outputs, "calculator.proto"]
    subprocess.run(stubs, check=True)
    program = folder / "callback_server"
    sources = [_PEERS / "callback_server.cc", *(folder / stub for stub in _STUBS)]
    subprocess.run(
        [compiler, "-O2", "-std=c++17", f"-I{folder}", *sources, "-o", program, *found.stdout.split()], check=True
    )
    return Server(CPP, [program], (UNARY, *SHAPES, *ECHO))


@contextmanager
def running(server: Server, core: int | None = None) -> Iterator[Running]:
    """Run a server until the block ends, on one core if one is given; then kill it.

    Raises:
        LoadError: the server does not listen.
    """
    # The log is in memory: a pipe would need a reader on the core of the load, and a disk has unpredictable latency.
    with tempfile.TemporaryFile("a+b", dir="/dev/shm") as log:
        process = subprocess.Popen(server.command, stderr=log, env=os.environ | {"PORT": "0"})
        try:
            port = _port(server, process, log)
            if core is not None:
                load.pin(process.pid, core)
            yield Running(server, process, port, log)
        finally:
            process.kill()
            process.wait()


def _port(server: Server, process: subprocess.Popen[bytes], log: IO[bytes]) -> int:
    ends, output = time.monotonic() + timeouts.SECONDS, ""
    has_ended = False
    while time.monotonic() < ends and not has_ended:
        has_ended = process.poll() is not None
        log.seek(0)
        output = log.read().decode(errors="replace")
        if announced := re.search(r"Listening on \S*:([0-9]+)\D", output):
            return int(announced[1])
        time.sleep(0.05)
    raise load.LoadError(f"{server.name} does not listen; its log:\n{output}")
