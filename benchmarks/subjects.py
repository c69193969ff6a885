"""The servers that are measured, each a process."""

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
from tests import programs, timeouts

_PEERS = Path("benchmarks/peers").absolute()
_PROTO = Path("proto/calculator/v1")
_STUBS = ("calculator.pb.cc", "calculator.grpc.pb.cc")


@dataclass(frozen=True)
class Subject:
    """A server that is to be measured.

    Attributes:
        name: it, for people.
        command: what starts it.
        kinds: how many kinds of calls it serves, of four: one is the unary one.
    """

    name: str
    command: Sequence[str | Path]
    kinds: int = 4


@dataclass(frozen=True)
class Running:
    """One that runs.

    Attributes:
        subject: it.
        process: its process.
        port: where it listens.
        log: what it writes to stderr.
    """

    subject: Subject
    process: subprocess.Popen[bytes]
    port: int
    log: IO[bytes]

    @property
    def memory(self) -> int:
        """The most that it needed, in kB."""
        return programs.figure(self.process.pid, "VmHWM")

    def forget_log(self) -> None:
        """Make room on the disk."""
        os.ftruncate(self.log.fileno(), 0)


TUTORIAL = Subject("the tutorial's: grpc.server", [_PEERS / "tutorial"])
STOCK = Subject("ours, --engine=stock", [programs.SERVER, "--engine=stock", "--log-format=json"])
OURS = Subject("ours", [programs.SERVER, "--log-format=json"])
UNLOGGED = Subject("ours, --no-access-log", [programs.SERVER, "--no-access-log"])
PYTHON = [
    TUTORIAL,
    Subject("grpc.aio, asyncio", [_PEERS / "aio"]),
    Subject("grpc.aio, uvloop", [_PEERS / "aio", "uvloop"]),
    Subject("grpclib", [_PEERS / "pure_python"]),
    STOCK,
    OURS,
    UNLOGGED,
]
"""All in Python."""


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
    return Subject("gRPC in C++, callbacks", [program], kinds=1)


@contextmanager
def running(subject: Subject, core: int | None = None) -> Iterator[Running]:
    """Start a server, on one core if one is given, and kill it at last.

    Raises:
        LoadError: it does not listen.
    """
    # A pipe would need somebody to read it, on the core that the load has, and a disk is in its own time.
    with tempfile.TemporaryFile("a+b", dir="/dev/shm") as log:
        process = subprocess.Popen(subject.command, stderr=os.dup(log.fileno()), env=os.environ | {"PORT": "0"})
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
