"""An Envoy process: started, asked, ended.

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

_TIMEOUT_SECONDS = 60
_LINES_KEPT = 1000

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class EnvoyError(Exception):
    """Envoy did not start, or does not answer."""


class Envoy:
    """An Envoy, of which nobody else knows the admin interface.

    Args:
        command: what starts it.
        admin: the file in which it will tell the address of its admin interface.

    Attributes:
        process: the process.
        log: the last lines that it has written, which standard error has, too.
    """

    def __init__(self, command: list[str], admin: Path) -> None:
        """Start it, in a session of its own: a terminal's Ctrl+C is not for it."""
        self.process = subprocess.Popen(
            command,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - it takes no lock
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
        assert self.process.stderr  # noqa: S101 - it was asked for
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line)
                print(line, end="", file=sys.stderr, flush=True)

    def ask(self, method: str, path: str) -> str:
        """Ask its admin interface, and return the answer.

        Args:
            method: GET, or POST for what changes something.
            path: see https://www.envoyproxy.io/docs/envoy/latest/operations/admin.

        Raises:
            EnvoyError: it does not answer.
        """
        try:
            connection = http.client.HTTPConnection(self._admin.read_text("ascii"), timeout=_TIMEOUT_SECONDS)
            with contextlib.closing(connection):
                connection.request(method, path)
                return connection.getresponse().read().decode()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EnvoyError(f"Envoy does not answer: {error}") from error

    def port(self) -> int:
        """Wait until it listens, and return where.

        Raises:
            EnvoyError: it ended, or took too long.
        """
        ends = time.monotonic() + _TIMEOUT_SECONDS
        while self.process.poll() is None and time.monotonic() < ends:
            with contextlib.suppress(EnvoyError, IndexError):
                listeners = json.loads(self.ask("GET", "/listeners?format=json"))
                return int(listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"])
            time.sleep(0.02)  # there is no event to wait for before Envoy's admin interface is there
        if self.process.poll() is not None:
            self._follower.join()  # the last lines say why it ended
        if any("Address already in use" in line for line in self.log):
            raise EnvoyError("the port is taken; choose another with --port")
        raise EnvoyError("Envoy does not listen")

    def end(self) -> None:
        """End it at once."""
        self.process.terminate()
        self.process.wait()
        self._follower.join()


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent does, killed as it may be (prctl(2))."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def running(program: Path, configuration: str, folder: Path, *flags: str) -> Iterator[Envoy]:
    """Run Envoy until the block ends; it may not listen yet.

    Args:
        program: Envoy.
        configuration: in YAML or JSON.
        folder: where it may write.
        flags: more than it needs.
    """
    file, admin = folder / "envoy.yaml", folder / "admin"
    file.write_text(configuration, encoding="utf-8")
    options = ["--config-path", str(file), "--admin-address-path", str(admin), *flags]
    # Of itself it would say that it was told to stop, which whoever told it knows.
    log = ["--log-level", "warning", "--component-log-level", "main:error"]
    command = [str(program), *options, *log, "--disable-hot-restart", "--concurrency", "1"]
    envoy = Envoy(command, admin)
    try:
        yield envoy
    finally:
        envoy.end()
