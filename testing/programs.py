"""Runs the programs under test as a user does: as real processes on real sockets."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import grpc

from testing import timeouts

# The working directory of a test is the root of its runfiles, where a py_binary has the path of its target.
# Tests of the server in another language set SERVER.
SERVER = Path(os.environ.get("SERVER", "server/server")).absolute()
CLIENT = Path("client/client").absolute()
GO_CLIENT = Path("client/go/go").absolute()

BROKEN_PROXY = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "grpc_proxy"), "http://127.0.0.1:1")
"""Environment variables that name an unreachable proxy."""

# How long to wait for the stack of an aborted process. It is written at once, unless the process is stopped or the
# machine is very slow.
_ABORT_SECONDS = 5

# Without a pause, polling would use up the CPU that the server needs.
_POLL_SECONDS = 0.005


def grpcurl() -> Path:
    """Return the path of grpcurl, for tests that have GRPCURL in their `env`."""
    return Path(os.environ["GRPCURL"]).absolute()


@contextmanager
def started(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:  # noqa: ANN401
    """Start a program in its own process group; when the block ends, kill the group and, on Linux, all descendants.

    This way, no process that the program leaves behind keeps a pipe open. There is one exception: a descendant with its
    own process group or session, such as a Bazel server, is not found once its parent has ended.

    Args:
        command: the program and its arguments.
        options: keyword arguments for subprocess.Popen.
    """
    with subprocess.Popen(command, text=True, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process, its process group and its descendants."""
    # Once a process has been waited for, its PID may be reused.
    left = descendants(process.pid) if process.returncode is None else []
    with contextlib.suppress(ProcessLookupError):  # the group has already ended
        os.killpg(process.pid, signal.SIGKILL)
    for descendant in left:
        with contextlib.suppress(ProcessLookupError):  # the descendant has ended, perhaps with the group
            os.kill(descendant, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """Return the PIDs of all descendants of a process; an empty list on systems without /proc."""
    children: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the process or one of its threads has ended
        for thread in Path(f"/proc/{process}/task").iterdir():
            children += map(int, (thread / "children").read_text(encoding="ascii").split())
    return children + [each for child in children for each in descendants(child)]


def has_ended(process: int) -> bool:
    """Return whether a process has ended, even if its parent has not read its status yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # its parent has read it
        return Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
    return True


def read_until(process: subprocess.Popen[str], text: str = "\n") -> str:
    """Read the standard output of a program up to the end of a text, and return what was read.

    The rest of the output stays in the pipe, so `communicate` returns it.

    Args:
        process: the program, whose standard output is a pipe.
        text: what to wait for; by default, the end of a line.

    Raises:
        AssertionError: the program closed its standard output without writing the text, or did not write it in time.
    """
    assert process.stdout
    output, end, read = process.stdout.fileno(), text.encode(), b""
    ends = time.monotonic() + timeouts.SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while not read.endswith(end):
            left = ends - time.monotonic()
            is_ready = left > 0 and selector.select(left)
            what = f"{process.args!r} did not write {text!r}, but {read.decode(errors='replace')!r}"
            assert is_ready, f"{what}, within {timeouts.SECONDS:.0f} s"
            byte = os.read(output, 1)
            assert byte, f"{what}, before it closed its standard output"
            read += byte
    return read.decode()


def run(
    command: Sequence[str | Path],
    folder: str | Path = ".",
    standard_input: str = "",
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a program until it exits, and return its exit status, stdout and stderr.

    Args:
        command: the program and its arguments.
        folder: its working directory.
        standard_input: the text that it reads; os.fsdecode makes a text of any bytes.
        environment: variables to add to the environment of the test.

    Raises:
        AssertionError: the program did not exit in time. The message has its output, and its stack if it is Python.
    """
    return run_within(timeouts.SECONDS, command, folder, standard_input, **environment)


def run_within(
    seconds: float,
    command: Sequence[str | Path],
    folder: str | Path = ".",
    standard_input: str = "",
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a program as `run` does, with a given timeout.

    Args:
        seconds: the timeout, in seconds.
        command: as for `run`.
        folder: as for `run`.
        standard_input: as for `run`.
        environment: as for `run`.

    Raises:
        AssertionError: as for `run`.
    """
    # Files, not pipes: a pipe does not reach its end while a process that the program left behind keeps it open.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as error:
        given.write(standard_input.encode(errors="surrogateescape"))
        given.seek(0)
        streams = {"stdin": given, "stdout": output, "stderr": error}
        variables = os.environ | {"PYTHONFAULTHANDLER": "1"} | environment
        with started(command, cwd=folder, env=variables, **streams) as process:
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_ABORT_SECONDS)
                said = f"stdout {_content(output)!r} and stderr:\n{_content(error)}"
                raise AssertionError(f"{command} did not exit within {seconds:.0f} s; it wrote {said}") from None
        return subprocess.CompletedProcess(command, status, _content(output), _content(error))


def _content(file: IO[bytes]) -> str:
    """Return the content of a file from its start."""
    file.seek(0)
    return file.read().decode()


def figure(process: int, kind: str) -> int:
    """Read a number from /proc/PID/status.

    Args:
        process: the PID.
        kind: the name of the field, such as Threads (https://man7.org/linux/man-pages/man5/proc.5.html).
    """
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == kind:
            return int(value.split()[0])
    raise KeyError(kind)


def call(channel: grpc.Channel, method: str, request: bytes) -> bytes:
    """Make a unary call with arbitrary bytes as the request, such as bytes that a stub could not send."""
    multi_callable: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return multi_callable(request, timeout=timeouts.SECONDS)


def eventually(happens: Callable[[], bool]) -> None:
    """Poll a condition until it holds. An RPC error counts as "does not hold yet".

    Args:
        happens: function that returns whether the condition holds.

    Raises:
        AssertionError: the condition did not hold in time.
        grpc.RpcError: the last evaluation failed with this error.
    """
    ends = time.monotonic() + timeouts.SECONDS
    while True:
        try:
            if happens():
                return
        except grpc.RpcError:
            if time.monotonic() > ends:
                raise
        assert time.monotonic() < ends, f"the condition did not hold within {timeouts.SECONDS:.0f} s"
        time.sleep(_POLL_SECONDS)


@dataclass
class Server:
    """A server process.

    Attributes:
        process: the process, for signals and its exit status.
        port: the port on which it listens.
        log: the log lines that it has written so far.
    """

    process: subprocess.Popen[str]
    port: int = 0
    log: list[str] = field(default_factory=list)
    _log_ended: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def address(self) -> str:
        """The address, HOST:PORT, for a client on this machine."""
        return f"localhost:{self.port}"

    def memory(self, kind: str) -> int:
        """Return a memory figure of the process in kB, such as VmHWM."""
        return figure(self.process.pid, kind)

    @property
    def threads(self) -> int:
        """The number of threads of the process."""
        return figure(self.process.pid, "Threads")

    def wait_for_log(self, text: str) -> str:
        """Wait for a log line that contains a text, and return it.

        Raises:
            AssertionError: the server ended without writing such a line, or did not write it in time.
        """
        ends = time.monotonic() + timeouts.SECONDS
        read = 0
        with self._changed:
            while True:
                for line in self.log[read:]:
                    if text in line:
                        return line
                read = len(self.log)
                if self._log_ended or not self._changed.wait(ends - time.monotonic()):
                    break
        raise AssertionError(f"the server never logged {text!r}, but:\n" + "\n".join(self.log))

    def follow_log(self) -> None:
        """Collect log lines until the server ends. A full pipe would block the server."""
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
    """Start a server as the platform would, wait until it listens, and kill it when the block ends.

    Args:
        program: the program, which takes its port from PORT.
        flags: flags of the program.
        announcement: the text before the address in the log line that the server writes once it listens.
        environment: variables to add to the environment of the test. By default, PORT is 0: any free port.
    """
    with started([program, *flags], env=os.environ | {"PORT": "0"} | environment, stderr=subprocess.PIPE) as process:
        server = Server(process)
        follower = threading.Thread(target=server.follow_log)
        follower.start()
        try:
            _, _, address = server.wait_for_log(announcement).partition(announcement)
            server.port = int(re.findall(r"(?:\[.*?\]|[^\s:]+):(\d+)", address)[0])
            yield server
        finally:
            _kill(process)
            follower.join()


def serving(*flags: str, **environment: str) -> AbstractContextManager[Server]:
    """Start //server; see `serving_by`. SERVER_FLAGS in the environment of the test adds flags for all its servers."""
    return serving_by(SERVER, *os.environ.get("SERVER_FLAGS", "").split(), *flags, **environment)
