"""The instances of a service: programs that are told to stop, and killed if they do not, as Cloud Run does."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

# https://cloud.google.com/run/docs/container-contract#instance-shutdown
_GRACE_SECONDS = 10
_START_SECONDS = 240
_LISTENS = re.compile(r"Listening on .*:(\d+)")


class InstanceError(Exception):
    """An instance did not start; what it said is on standard error."""


class _Process:
    """A server that begins to start.

    Args:
        name: what its lines on standard error begin with.
        command: what it is.
        environment: all of its environment but PORT, which it gets from the system.
        process_of: which process a signal is for, of the one that the command began.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], process_of: Callable[[int], int]
    ) -> None:
        self._name = name
        self._process_of = process_of
        self._process = subprocess.Popen(
            command, env={**environment, "PORT": "0"}, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._told = threading.Event()
        self._port: int | None = None
        self._follower = threading.Thread(target=self._follow)
        self._follower.start()

    def _follow(self) -> None:
        """Pass on what it writes, until it ends."""
        assert self._process.stderr  # noqa: S101 - it was asked for
        with self._process.stderr as lines:
            for line in lines:
                print(f"{self._name}: {line}", end="", file=sys.stderr, flush=True)
                found = _LISTENS.search(line)
                if found and self._port is None:
                    self._port = int(found[1])
                    self._told.set()
        self._told.set()

    def port(self) -> int:
        """Wait until it listens, and return where."""
        self._told.wait(_START_SECONDS)
        if self._port is None:
            raise InstanceError(f"{self._name} did not start")
        return self._port

    def tell_to_stop(self) -> None:
        """Send it SIGTERM, which it has the grace to answer."""
        # It may have ended by itself, between any two of these.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
            if self._process.poll() is None:
                os.kill(self._process_of(self._process.pid), signal.SIGTERM)

    def end(self) -> None:
        """Wait for its end as long as the grace lasts, and kill it then."""
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{self._name}: killed, {_GRACE_SECONDS} s after it was told to stop", file=sys.stderr)
            self._process.kill()
            self._process.wait()
        self._follower.join()


def itself(process: int) -> int:
    """Return a process: a signal for it needs no other."""
    return process


@dataclass(frozen=True)
class Program:
    """One of the programs of an instance, which serve each other on this machine.

    Attributes:
        name: what it is called.
        command: what starts it, of the port of the program before it; of 0, if it is the first.
        process_of: which process a signal is for, of the one that the command begins.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    process_of: Callable[[int], int] = itself


@contextmanager
def serving(programs: Sequence[Program], environment: Mapping[str, str], count: int = 1) -> Iterator[list[int]]:
    """Run instances until the block ends; give the ports of their last programs on this machine.

    Args:
        programs: what each instance consists of. All of them are told to stop at the same time.
        environment: all of their environment but PORT.
        count: how many, from 1.

    Raises:
        InstanceError: a program did not start.
    """
    running: list[_Process] = []
    try:
        ports = [0] * count
        for program in programs:
            first = len(running)
            for number, port in enumerate(ports, 1):  # in here, since a signal may come between two of them
                command = program.command(port)
                running.append(_Process(f"{program.name} {number}", command, environment, program.process_of))
            ports = [process.port() for process in running[first:]]
        yield ports
    finally:
        for process in running:
            process.tell_to_stop()
        for process in running:
            process.end()
