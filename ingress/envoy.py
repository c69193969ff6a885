"""Runs Envoy as a child process, and sends requests to its admin interface.

https://www.envoyproxy.io/docs/envoy/latest/operations/cli
"""

import collections
import contextlib
import ctypes
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from server.process.sockets import ReservedPort

_TIMEOUT_SECONDS = 60
_LINES_KEPT = 1000

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class EnvoyError(Exception):
    """Envoy did not start, or does not answer."""


class Envoy:
    """A running Envoy.

    Args:
        command: the command line.
        admin: the file to which Envoy writes the address of its admin interface.

    Attributes:
        process: the process.
        log: the last lines of its log, which is copied to standard error.
    """

    def __init__(self, command: list[str], admin: Path) -> None:
        """Start Envoy in its own session, so that Ctrl+C in a terminal does not reach it."""
        self.process = subprocess.Popen(
            command,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - the function takes no lock
            start_new_session=True,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.log = collections.deque[str](maxlen=_LINES_KEPT)
        self._admin = admin
        self._follower = threading.Thread(target=self._follow)
        self._follower.start()

    def _follow(self) -> None:
        assert self.process.stderr  # noqa: S101 - it is a pipe
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line)
                print(line, end="", file=sys.stderr, flush=True)

    def ask(self, method: str, path: str) -> str:
        """Send a request to the admin interface, and return the body of the response.

        Args:
            method: GET, or POST for a request that changes something.
            path: see https://www.envoyproxy.io/docs/envoy/latest/operations/admin.

        Raises:
            EnvoyError: Envoy does not answer.
        """
        try:
            connection = http.client.HTTPConnection(self._admin.read_text("ascii"), timeout=_TIMEOUT_SECONDS)
            with contextlib.closing(connection):
                connection.request(method, path)
                return connection.getresponse().read().decode()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EnvoyError(f"Envoy does not answer: {error}") from error

    def port(self) -> int:
        """Wait until Envoy listens, and return the port.

        Raises:
            EnvoyError: Envoy exited, or did not listen in time.
        """
        ends = time.monotonic() + _TIMEOUT_SECONDS
        while self.process.poll() is None and time.monotonic() < ends:
            with contextlib.suppress(EnvoyError, IndexError):
                listeners = json.loads(self.ask("GET", "/listeners?format=json"))
                return int(listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"])
            time.sleep(0.02)  # poll, because Envoy does not signal that its admin interface is ready
        raise EnvoyError("Envoy does not listen")

    def end(self) -> None:
        """Terminate Envoy without draining, and wait until it has exited."""
        self.process.terminate()
        self.process.wait()
        self._follower.join()


def listen_on(reserved: ReservedPort) -> dict[str, Any]:
    """Return the fields of an Envoy listener that make it listen on a reserved port."""
    first, *others = (
        {"socket_address": {"address": ip, "port_value": reserved.port, "ipv4_compat": ip == "::"}}
        for ip in reserved.ips
    )
    return {"address": first, "additional_addresses": [{"address": other} for other in others]}


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent exits, even if it is killed; see prctl(2)."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def running(program: Path, configuration: str, folder: Path, *flags: str) -> Iterator[Envoy]:
    """Run Envoy until the block ends. When the block starts, Envoy may not listen yet.

    Args:
        program: the path of Envoy.
        configuration: the configuration, in YAML or JSON.
        folder: a folder for its files.
        flags: additional flags.
    """
    file, admin = folder / "envoy.yaml", folder / "admin"
    file.write_text(configuration, encoding="utf-8")
    options = ["--config-path", str(file), "--admin-address-path", str(admin), *flags]
    # Without this, Envoy would log each signal to stop, which the sender knows about.
    log = ["--log-level", "warning", "--component-log-level", "main:error"]
    command = [str(program), *options, *log, "--disable-hot-restart", "--concurrency", "1"]
    envoy = Envoy(command, admin)
    try:
        yield envoy
    finally:
        envoy.end()
