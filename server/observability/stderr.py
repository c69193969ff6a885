"""Non-blocking writes to stderr, so that the server continues if nobody reads its log."""

import contextlib
import fcntl
import logging
import os
import socket
import stat
import threading

_LOGGER = logging.getLogger(__name__)

# The size of the pipe buffer, which holds as much as one CPU core can log in 0.1 s. The default is 64 kB. This is the
# maximum for unprivileged users, unless /proc/sys/fs/pipe-max-size has another value.
_PIPE_BYTES = 1 << 20


class Stderr:
    """Writes lines without blocking, and drops and counts those that would block.

    A write to a full pipe would block its thread: the I/O thread, and thereby all calls, or the main thread, which
    could then not stop the server on SIGTERM.

    Args:
        descriptor: the file descriptor of stderr or of another file.
    """

    def __init__(self, descriptor: int) -> None:
        """Open a non-blocking descriptor."""
        self._descriptor = _nonblocking(descriptor)
        self._socket = socket.socket(fileno=os.dup(descriptor)) if stat.S_ISSOCK(os.fstat(descriptor).st_mode) else None
        self._unsent = b""
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, lines: bytes, count: int) -> None:
        """Write lines, or drop them.

        Args:
            lines: whole lines. Up to PIPE_BUF bytes, lines of other processes do not interleave with them.
            count: the number of lines.
        """
        with self._lock:
            try:
                is_written = self._send_whole(lines)
            except BlockingIOError:
                is_written = False
            except OSError:  # the reader is gone or the disk is full, and there is nowhere else to report it
                return
            if not is_written:
                self._dropped += count
                return
            dropped, self._dropped = self._dropped, 0
        if dropped:
            _LOGGER.warning("%d log lines were dropped, since stderr was not read", dropped)

    def _send_whole(self, lines: bytes) -> bool:
        """Send lines. Return False if the rest of a partly sent line still cannot be sent."""
        if self._unsent:
            self._unsent = self._unsent[self._send(self._unsent) :]
            if self._unsent:
                return False
        self._unsent = lines[self._send(lines) :]
        return True

    def _send(self, data: bytes) -> int:
        """Send bytes and return the number of bytes sent.

        Raises:
            BlockingIOError: no bytes can be sent now.
        """
        if self._socket:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        return os.write(self._descriptor, data)


def _nonblocking(descriptor: int) -> int:
    """Return a non-blocking descriptor of the same pipe or terminal; for other files, the same descriptor.

    The file is opened again, since other processes, such as a shell, may share the descriptor, and their writes must
    still block. A socket cannot be opened again; each send has a flag instead. A regular file never blocks.
    """
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(kind):
        with contextlib.suppress(OSError):  # the pipes of this user already have the maximum total size
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        with contextlib.suppress(OSError):  # the pipe does not have a reader, or /proc is not mounted
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return descriptor


class StderrHandler(logging.Handler):
    """A logging handler that writes to stderr without blocking.

    Args:
        stderr: the destination of the lines.
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
