"""The programs under test, as a person runs them: real processes on real sockets."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

# A test runs in the root of its runfiles, where py_binary targets lie under their own names.
SERVER = Path("server/server").absolute()
CLIENT = Path("client/client").absolute()

# Long enough for a slow machine, and shorter than Bazel's own patience, so that a test says what it waited for.
PATIENCE_SECONDS = 20


def grpcurl() -> Path:
    """Return the real grpcurl, for tests that have it in their `env`."""
    return Path(os.environ["GRPCURL"]).absolute()


def run(
    command: Sequence[str | Path], folder: str | Path = ".", standard_input: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with the environment of the test and more; return status, stdout and stderr.

    Raises:
        AssertionError: it did not end before anyone's patience did; it says where it was, if it is in Python.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            output, error = process.communicate(standard_input, timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            output, error = process.communicate()
            raise AssertionError(f"{command} does not end, after {output!r}, but is in:\n{error}") from None
    return subprocess.CompletedProcess(command, process.returncode, output, error)


def figure(process: int, kind: str) -> int:
    """Read one of a process's figures, such as Threads (https://man7.org/linux/man-pages/man5/proc.5.html)."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == kind:
            return int(value.split()[0])
    raise KeyError(kind)


def call(channel: grpc.Channel, method: str, request: bytes) -> bytes:
    """Make a unary call with bytes of the test's choice, which a stub would not let through."""
    multi_callable: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return multi_callable(request, timeout=PATIENCE_SECONDS)


def eventually(happens: Callable[[], bool]) -> None:
    """Try until it happens; a call that is refused meanwhile is tried again.

    Raises:
        grpc.RpcError: it was refused for longer than anyone's patience.
    """
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if happens():
                return
        except grpc.RpcError:
            if time.monotonic() > ends:
                raise
        assert time.monotonic() < ends


@dataclass
class Server:
    """A server process.

    Attributes:
        process: the process itself, for signals and status.
        port: where it listens.
        log: the lines it has written so far.
    """

    process: subprocess.Popen[str]
    port: int = 0
    log: list[str] = field(default_factory=list)
    _log_ended: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def address(self) -> str:
        """HOST:PORT for a client on this machine."""
        return f"localhost:{self.port}"

    def memory(self, kind: str) -> int:
        """Read one of the process's sizes in kB, such as VmHWM."""
        return figure(self.process.pid, kind)

    @property
    def threads(self) -> int:
        """How many threads the process has."""
        return figure(self.process.pid, "Threads")

    def wait_for_log(self, text: str) -> str:
        """Wait for a log line that contains a text, and return it.

        Raises:
            AssertionError: the server ended without writing one, or took longer than anyone's patience.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._find(text) or self._log_ended, PATIENCE_SECONDS)
            line = self._find(text)
        assert line, f"the server never logged {text!r}, but:\n" + "\n".join(self.log)
        return line

    def _find(self, text: str) -> str | None:
        return next((line for line in self.log if text in line), None)

    def follow_log(self) -> None:
        """Collect what the server writes until it ends. A full pipe would stop it."""
        assert self.process.stderr
        with self.process.stderr as lines:
            for line in lines:
                with self._changed:
                    self.log.append(line.rstrip())
                    self._changed.notify_all()
        with self._changed:
            self._log_ended = True
            self._changed.notify_all()


@contextmanager
def serving_by(
    program: str | Path, *flags: str, announcement: str = "Listening on", **environment: str
) -> Iterator[Server]:
    """Start a server as the platform would, wait until it listens, and kill it afterwards if it still runs.

    It listens on a free port unless the environment names one, and says so in its log with the announcement, before the
    address.
    """
    process = subprocess.Popen(
        [program, *flags], env=os.environ | {"PORT": "0"} | environment, stderr=subprocess.PIPE, text=True
    )
    server = Server(process)
    follower = threading.Thread(target=server.follow_log)
    follower.start()
    try:
        _, _, address = server.wait_for_log(announcement).partition(announcement)
        server.port = int(re.findall(r":(\d+)", address)[0])
        yield server
    finally:
        process.kill()
        process.wait()
        follower.join()


def serving(*flags: str, **environment: str) -> AbstractContextManager[Server]:
    """Start //server; see `serving_by`. A test's environment may have more flags for all its servers."""
    return serving_by(SERVER, *os.environ.get("SERVER_FLAGS", "").split(), *flags, **environment)
