"""Several processes that do the same work: starts them, starts anew those that end, and drains them all.

For a server, the kernel gives each new connection to one of them (SO_REUSEPORT). They share the port and the log; each
has its own limits, and answers for its own health.
"""

import dataclasses
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator

_LOGGER = logging.getLogger("server")

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_READY = signal.SIGUSR1
_OWN_SIGNALS = (signal.SIGCHLD, _READY)
_SIGNALS = (*_STOP_SIGNALS, *_OWN_SIGNALS)

# The wait before a worker is started anew doubles with each that ends, and begins anew once one has held out.
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 10.0
_HELD_OUT_SECONDS = 30.0
# So many in a row may end before they are ready. Then whoever runs this had better begin elsewhere.
_MAX_FALSE_STARTS = 5


@dataclasses.dataclass
class _Worker:
    """A process, and those that take its place when it ends.

    Attributes:
        number: which of them it is, from 0.
        process: its process; 0 while there is none.
        starts: when it was started, or is to be, by time.monotonic.
        wait: how long there will be none after this one, in seconds.
        is_ready: whether it does its work.
        false_starts: how many in a row have ended before they did.
    """

    number: int
    process: int = 0
    starts: float = 0
    wait: float = _FIRST_WAIT_SECONDS
    is_ready: bool = False
    false_starts: int = 0


class Supervisor:
    """The processes, and what keeps them.

    Args:
        count: how many, from 1 to 256.
        work: does the work, in a process of its own, until SIGTERM, which is blocked there; it calls what it is given
            once it is ready, and returns the exit status.
        all_ready: is called once all are ready for the first time.
    """

    def __init__(self, count: int, work: Callable[[Callable[[], None]], int], all_ready: Callable[[], None]) -> None:
        """Start nothing yet."""
        self._work = work
        self._all_ready = all_ready
        self._workers = [_Worker(number) for number in range(count)]
        self._has_begun = False
        self._process = os.getpid()
        self._ready, self._tell_ready = os.pipe()
        os.set_blocking(self._ready, False)
        # This end closes when this process does, in whatever way; what reads the other ends, too.
        self._orphaned, self._alive = os.pipe()

    def run(self) -> int:
        """Keep the processes running until SIGINT or SIGTERM, and end them then; a second signal ends them at once.

        Returns:
            0; 1 if one did not end well; the exit status of one that cannot be started, at first or again and again.
        """
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever started this may have ignored it
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while True:
            for worker in self._workers:
                if not worker.process and worker.starts <= time.monotonic():
                    self._start(worker)
            number = self._wait()
            self._note_ready()
            if number in _STOP_SIGNALS:
                _LOGGER.info("Stopping on %s", signal.Signals(number).name)
                return 0 if self._stop() else 1
            for worker, code in self._ended():
                self._note_ready()
                worker.false_starts += not worker.is_ready
                if worker.false_starts >= (_MAX_FALSE_STARTS if self._has_begun else 1):
                    _LOGGER.error("Worker %d ended %s, and cannot be started", worker.number, _how(code))
                    self._stop()
                    return max(code, 1)
                self._plan(worker, code)

    def _wait(self) -> int:
        """Wait for a signal, or until a process is to be started; return the signal's number, or 0."""
        starts = [worker.starts for worker in self._workers if not worker.process]
        if not starts:
            return signal.sigwaitinfo(_SIGNALS).si_signo
        timeout = max(0, min(starts) - time.monotonic())
        received = signal.sigtimedwait(_SIGNALS, timeout)
        return received.si_signo if received else 0

    def _start(self, worker: _Worker) -> None:
        worker.starts, worker.is_ready = time.monotonic(), False
        try:
            worker.process = os.fork()
        except OSError as error:
            _LOGGER.error("Worker %d cannot be started: %s", worker.number, error)  # noqa: TRY400 - it says all
            worker.starts += _LONGEST_WAIT_SECONDS
            return
        if not worker.process:
            os._exit(self._serve(worker.number))

    def _serve(self, number: int) -> int:
        """Do the work, in a process of its own; return the exit status."""
        os.setpgid(0, 0)  # a terminal's Ctrl+C is for the supervisor, which passes it on
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OWN_SIGNALS)
        os.close(self._alive)
        threading.Thread(target=self._end_when_orphaned, name="orphaned", daemon=True).start()
        try:
            return self._work(lambda: self._say_ready(number))
        except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as if it were the other
            traceback.print_exc()
            return 1

    def _end_when_orphaned(self) -> None:
        os.read(self._orphaned, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _say_ready(self, number: int) -> None:
        os.write(self._tell_ready, bytes([number]))
        if os.getppid() == self._process:
            os.kill(self._process, _READY)

    def _note_ready(self) -> None:
        try:
            numbers = os.read(self._ready, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            self._workers[number].is_ready = True
            self._workers[number].false_starts = 0
        if not self._has_begun and all(worker.is_ready for worker in self._workers):
            self._has_begun = True
            self._all_ready()

    def _ended(self) -> Iterator[tuple[_Worker, int]]:
        """Yield those that have ended since, with their exit status, or less than 0 for a signal."""
        while any(worker.process for worker in self._workers):
            process, status = os.waitpid(-1, os.WNOHANG)  # as the first process of a container, it has others' children
            if not process:
                return
            for worker in self._workers:
                if worker.process == process:
                    worker.process = 0
                    yield worker, os.waitstatus_to_exitcode(status)

    def _plan(self, worker: _Worker, code: int) -> None:
        """Have one that has ended started anew."""
        now = time.monotonic()
        if now - worker.starts > _HELD_OUT_SECONDS:
            worker.wait = _FIRST_WAIT_SECONDS
        worker.starts = now + worker.wait
        _LOGGER.error("Worker %d ended %s; another takes its place in %g s", worker.number, _how(code), worker.wait)
        worker.wait = min(2 * worker.wait, _LONGEST_WAIT_SECONDS)

    def _stop(self) -> bool:
        """Have all end, and wait for it; another signal meanwhile ends them at once. Return whether each ended well."""
        ended_well = True
        number: int = signal.SIGTERM
        while True:
            for worker in self._workers:
                if worker.process and number:
                    os.kill(worker.process, number)
            for worker, code in self._ended():
                if code:
                    ended_well = False
                    _LOGGER.error("Worker %d ended %s", worker.number, _how(code))
            if not any(worker.process for worker in self._workers):
                _LOGGER.info("Stopped")
                return ended_well
            received = signal.sigwaitinfo(_SIGNALS).si_signo
            # Two of the same might be one to a worker that is slow to take the first.
            number = signal.SIGKILL if received in _STOP_SIGNALS else 0


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
