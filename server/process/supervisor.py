"""The supervisor of several worker processes: starts them, restarts those that exit, and drains them all.

The workers of a server share the port and the log, and the kernel assigns each new connection to one of them
(SO_REUSEPORT). Each worker has its own limits and reports its own health.
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

# The backoff before a restart doubles with each exit, and is reset once a worker has run for _STABLE_SECONDS.
_MIN_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 10.0
_STABLE_SECONDS = 30.0
# The supervisor gives up when one worker exits this many times in a row without becoming ready. Until all workers have
# been ready for the first time, a single such exit is enough. After the supervisor has given up, the platform can
# start the server elsewhere.
_MAX_FAILED_STARTS = 5


@dataclasses.dataclass
class _Worker:
    """A worker slot and its current process.

    Attributes:
        number: the number of the slot, from 0.
        process: the process ID; 0 if no process is running.
        start_time: `time.monotonic()` of the last start; if no process is running, of the next start.
        backoff: the time from the next exit to the restart, in seconds.
        is_ready: whether the process is ready.
        failed_starts: the number of consecutive exits before readiness.
    """

    number: int
    process: int = 0
    start_time: float = 0
    backoff: float = _MIN_BACKOFF_SECONDS
    is_ready: bool = False
    failed_starts: int = 0


class Supervisor:
    """Starts, restarts and stops worker processes.

    Args:
        count: the number of workers, 1-256.
        work: called in each worker process with a callback, which it must call once it is ready. Runs until SIGTERM
            (blocked, so wait for it with sigwait), and returns the exit status.
        all_ready: called once all workers are ready for the first time.
    """

    def __init__(self, count: int, work: Callable[[Callable[[], None]], int], all_ready: Callable[[], None]) -> None:
        """Create the pipes, but do not start workers."""
        self._work = work
        self._all_ready = all_ready
        self._workers = [_Worker(number) for number in range(count)]
        self._has_been_ready = False
        self._process = os.getpid()
        self._ready_reader, self._ready_writer = os.pipe()
        os.set_blocking(self._ready_reader, False)
        # The kernel closes the writing end when this process ends for any reason. Workers that read from the other end
        # then notice it, and end too.
        self._lifeline_reader, self._lifeline_writer = os.pipe()

    def run(self) -> int:
        """Keep the workers running until SIGINT or SIGTERM, then drain them. A second signal kills them.

        Returns:
            After a stop signal: 0 if all workers exited with status 0, else 1. Otherwise: the status (at least 1) of
            the worker that made the supervisor give up.
        """
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the parent process may have ignored it
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while True:
            for worker in self._workers:
                if not worker.process and worker.start_time <= time.monotonic():
                    self._start(worker)
            number = self._wait()
            self._read_ready()
            if number in _STOP_SIGNALS:
                _LOGGER.info("Stopping on %s", signal.Signals(number).name)
                return 0 if self._stop() else 1
            for worker, code in self._reap():
                self._read_ready()
                worker.failed_starts += not worker.is_ready
                if worker.failed_starts >= (_MAX_FAILED_STARTS if self._has_been_ready else 1):
                    _LOGGER.error("Worker %d %s; giving up", worker.number, _describe_exit(code))
                    self._stop()
                    return max(code, 1)
                self._schedule_restart(worker, code)

    def _wait(self) -> int:
        """Wait for a signal or the time of the next start. Return the number of the signal, or 0."""
        start_times = [worker.start_time for worker in self._workers if not worker.process]
        if not start_times:
            return signal.sigwaitinfo(_SIGNALS).si_signo
        timeout = max(0, min(start_times) - time.monotonic())
        received = signal.sigtimedwait(_SIGNALS, timeout)
        return received.si_signo if received else 0

    def _start(self, worker: _Worker) -> None:
        worker.start_time, worker.is_ready = time.monotonic(), False
        try:
            worker.process = os.fork()
        except OSError as error:
            _LOGGER.error("Cannot start worker %d: %s", worker.number, error)  # noqa: TRY400 - a traceback adds nothing
            worker.start_time += _MAX_BACKOFF_SECONDS
            return
        if not worker.process:
            os._exit(self._run_worker(worker.number))

    def _run_worker(self, number: int) -> int:
        """Work in the worker process; return the exit status."""
        os.setpgid(0, 0)  # Ctrl+C in a terminal only reaches the supervisor, which stops the workers
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OWN_SIGNALS)
        os.close(self._lifeline_writer)
        threading.Thread(target=self._end_when_orphaned, name="orphaned", daemon=True).start()
        try:
            return self._work(lambda: self._notify_ready(number))
        except BaseException:  # noqa: BLE001 - on any error, the worker must not continue as the supervisor
            traceback.print_exc()
            return 1

    def _end_when_orphaned(self) -> None:
        os.read(self._lifeline_reader, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _notify_ready(self, number: int) -> None:
        os.write(self._ready_writer, bytes([number]))
        if os.getppid() == self._process:
            os.kill(self._process, _READY)

    def _read_ready(self) -> None:
        try:
            numbers = os.read(self._ready_reader, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            self._workers[number].is_ready = True
            self._workers[number].failed_starts = 0
        if not self._has_been_ready and all(worker.is_ready for worker in self._workers):
            self._has_been_ready = True
            self._all_ready()

    def _reap(self) -> Iterator[tuple[_Worker, int]]:
        """Reap workers that have exited, and yield each with its exit status, which is negative for a signal."""
        while any(worker.process for worker in self._workers):
            # As a container's PID 1, this process also inherits orphans, so this may not be a worker.
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            for worker in self._workers:
                if worker.process == process:
                    worker.process = 0
                    yield worker, os.waitstatus_to_exitcode(status)

    def _schedule_restart(self, worker: _Worker, code: int) -> None:
        """Schedule the restart of a worker that has exited."""
        now = time.monotonic()
        if now - worker.start_time > _STABLE_SECONDS:
            worker.backoff = _MIN_BACKOFF_SECONDS
        worker.start_time = now + worker.backoff
        _LOGGER.error("Worker %d %s; restarting in %g s", worker.number, _describe_exit(code), worker.backoff)
        worker.backoff = min(2 * worker.backoff, _MAX_BACKOFF_SECONDS)

    def _stop(self) -> bool:
        """Stop all workers and wait for them. Another signal kills them. Return whether all exited with status 0."""
        all_succeeded = True
        number: int = signal.SIGTERM
        while True:
            for worker in self._workers:
                if worker.process and number:
                    os.kill(worker.process, number)
            for worker, code in self._reap():
                if code:
                    all_succeeded = False
                    _LOGGER.error("Worker %d %s", worker.number, _describe_exit(code))
            if not any(worker.process for worker in self._workers):
                _LOGGER.info("Stopped")
                return all_succeeded
            received = signal.sigwaitinfo(_SIGNALS).si_signo
            # Not SIGTERM again: it would merge with the first if that is still pending in a slow worker.
            number = signal.SIGKILL if received in _STOP_SIGNALS else 0


def _describe_exit(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
