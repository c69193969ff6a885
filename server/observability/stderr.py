"""Writes to stderr that never wait: the server goes on when nobody reads its log."""

import contextlib
import fcntl
import logging
import os
import socket
import stat
import threading

_LOGGER = logging.getLogger(__name__)

# How much a pipe holds until its reader has time: what a core logs in 0.1 s at most. By default it is 64 kB. It is the
# most that Linux allows every user, unless /proc/sys/fs/pipe-max-size says otherwise.
_PIPE_BYTES = 1 << 20


class Stderr:
    """Writes lines if that does not block, and counts those that it drops.

    A write to a full pipe would block the thread that writes: the I/O thread, and with it all calls, or the main
    thread, which would then not stop the server on SIGTERM.

    Args:
        descriptor: that of stderr, or of another file.
    """

    def __init__(self, descriptor: int) -> None:
        """Write nothing yet."""
        self._descriptor = _without_waiting(descriptor)
        self._socket = socket.socket(fileno=os.dup(descriptor)) if stat.S_ISSOCK(os.fstat(descriptor).st_mode) else None
        self._rest = b""
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, lines: bytes, count: int) -> None:
        """Write lines, or drop them.

        Args:
            lines: whole lines. Up to PIPE_BUF bytes, no line of another process gets between them.
            count: how many lines they are.
        """
        with self._lock:
            try:
                is_sent = self._send_whole(lines)
            except BlockingIOError:
                is_sent = False
            except OSError:  # whoever read the log has gone, or the disk is full, and there is nobody else to tell
                return
            if not is_sent:
                self._dropped += count
                return
            dropped, self._dropped = self._dropped, 0
        if dropped:
            _LOGGER.warning("%d log lines were dropped, since nobody read stderr", dropped)

    def _send_whole(self, lines: bytes) -> bool:
        """Send lines; return False if the rest of a line that was sent in part still has to wait."""
        if self._rest:
            self._rest = self._rest[self._send(self._rest) :]
            if self._rest:
                return False
        self._rest = lines[self._send(lines) :]
        return True

    def _send(self, data: bytes) -> int:
        """Send bytes, and return how many were sent.

        Raises:
            BlockingIOError: none can be sent now.
        """
        if self._socket:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        return os.write(self._descriptor, data)


def _without_waiting(descriptor: int) -> int:
    """Return a descriptor of the same pipe or terminal that does not block; for other files, the same descriptor.

    Other processes may have the same descriptor, such as a shell: their writes must block as before. So the file is
    opened once more. A socket cannot be opened; each send has a flag instead. A file on a disk never blocks.
    """
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(kind):
        with contextlib.suppress(OSError):  # the user has too many such pipes
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        with contextlib.suppress(OSError):  # there is no reader, or no /proc
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return descriptor


class StderrHandler(logging.Handler):
    """Python's logging to stderr.

    Args:
        stderr: writes the lines.
    """

    def __init__(self, stderr: Stderr) -> None:
        """Handle records of all levels."""
        super().__init__()
        self._stderr = stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a record."""
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        except Exception:  # noqa: BLE001 - as logging's own handlers do
            self.handleError(record)
            return
        self._stderr.write(line, 1)
