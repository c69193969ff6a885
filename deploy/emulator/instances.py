"""The instances of a service: their programs get SIGTERM, and SIGKILL after a grace period, as on Cloud Run."""

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
    """An instance did not start; its log is on standard error."""


class _Process:
    """A process of a program that listens on a free port.

    Args:
        name: the prefix of its lines on standard error.
        command: the command line.
        environment: its whole environment, except PORT, which is 0.
        process_of: returns the process that handles signals, given the process of the command.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], process_of: Callable[[int], int]
    ) -> None:
        self._name = name
        self._process_of = process_of
        self._process = subprocess.Popen(
            command, env={**environment, "PORT": "0"}, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._started_or_exited = threading.Event()
        self._port: int | None = None
        self._follower = threading.Thread(target=self._follow)
        self._follower.start()

    def _follow(self) -> None:
        """Copy the process's log to standard error until it exits."""
        assert self._process.stderr  # noqa: S101 - it is a pipe
        with self._process.stderr as lines:
            for line in lines:
                print(f"{self._name}: {line}", end="", file=sys.stderr, flush=True)
                found = _LISTENS.search(line)
                if found and self._port is None:
                    self._port = int(found[1])
                    self._started_or_exited.set()
        self._started_or_exited.set()

    def port(self) -> int:
        """Wait until the program listens, and return its port.

        Raises:
            InstanceError: the program exited, or did not listen in time.
        """
        self._started_or_exited.wait(_START_SECONDS)
        if self._port is None:
            raise InstanceError(f"{self._name} did not start")
        return self._port

    def terminate(self) -> None:
        """Send SIGTERM to the process, if it still runs."""
        # The process may exit between any two of these calls.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
            if self._process.poll() is None:
                os.kill(self._process_of(self._process.pid), signal.SIGTERM)

    def end(self) -> None:
        """Wait until the process exits, and kill it at the end of the grace period."""
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{self._name}: killed, because it still ran {_GRACE_SECONDS} s after SIGTERM", file=sys.stderr)
            self._process.kill()
            self._process.wait()
        self._follower.join()


def same_process(process: int) -> int:
    """Return the given process, for commands that handle signals in their first process."""
    return process


@dataclass(frozen=True)
class Program:
    """A program of an instance; each program calls the one before it.

    Attributes:
        name: the name.
        command: returns the command line, given the port of the previous program; 0 for the first program.
        process_of: returns the process that handles signals, given the process of the command.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    process_of: Callable[[int], int] = same_process


@contextmanager
def serving(programs: Sequence[Program], environment: Mapping[str, str], count: int = 1) -> Iterator[list[int]]:
    """Run instances until the block ends.

    Args:
        programs: the programs of each instance; all of them get SIGTERM at the same time.
        environment: their whole environment, except PORT.
        count: the number of instances, from 1.

    Yields:
        The port of the last program of each instance.

    Raises:
        InstanceError: a program did not start.
    """
    running: list[_Process] = []
    try:
        ports = [0] * count
        for program in programs:
            first = len(running)
            for number, port in enumerate(ports, 1):  # inside try, since a signal may come between two starts
                command = program.command(port)
                running.append(_Process(f"{program.name} {number}", command, environment, program.process_of))
            ports = [process.port() for process in running[first:]]
        yield ports
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.end()
