"""Listening sockets: binding of addresses, and accepting of connections."""

import contextlib
import errno
import logging
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nggrpc.loop import Loop

_LOGGER = logging.getLogger(__name__)

_BACKLOG = 4096

# The maximum number of connections to accept before other events get their turn.
_MAX_ACCEPTED = 64

# Duration of the pause when no connection can be accepted, for example because no file descriptor is free.
_PAUSE_SECONDS = 0.1

# The minimum interval between warnings about exhausted resources.
_WARNING_SECONDS = 60.0

# The file descriptors that are reserved for files, for connections that handlers open, and for listening sockets.
_RESERVED_DESCRIPTORS = 100

_EXHAUSTION_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# With port 0, a port that is free on one address of a host may be in use on another one. Then, another port is tried.
_BIND_ATTEMPTS = 10

# A host name may resolve to addresses that this machine lacks: /etc/hosts may list others, or IPv6 may be disabled.
_MISSING_ADDRESS_ERRORS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def max_connections() -> int:
    """Return how many connections the open file limit allows, with a reserve for other file descriptors."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else max(limit - _RESERVED_DESCRIPTORS, limit // 2)


def bind(address: str, *, reuse_port: bool) -> list[socket.socket]:
    """Bind an address; return a listening socket for each IP address of the host that this machine has.

    Connections wait in the listen queue until a `Listener` accepts them.

    Args:
        address: "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Port 0 selects a free port. "[::]" means all
            interfaces, IPv4 only if the machine does not support IPv6.
        reuse_port: whether other processes may bind the same port.

    Raises:
        RuntimeError: the address cannot be bound; the message says why. grpcio raises the same type.
    """
    try:
        if address.startswith("unix:"):
            return [_listen(socket.AF_UNIX, address.removeprefix("unix:").removeprefix("//"), reuse_port=False)]
        host, _, port = address.rpartition(":")
        if not port.isdecimal():
            raise RuntimeError(f"cannot bind {address!r}: must be HOST:PORT, [IPV6]:PORT or unix:PATH")
        return _bind_host(host.strip("[]"), int(port), reuse_port=reuse_port)
    except OSError as error:
        raise RuntimeError(f"cannot bind {address!r}: {error.strerror or error}") from error


def _bind_host(host: str, port: int, *, reuse_port: bool) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = {(family, address[0]) for family, _, _, _, address in found}
    for _ in range(_BIND_ATTEMPTS):
        bound: list[socket.socket] = []
        missing: OSError | None = None
        try:
            for family, ip in addresses:
                try:
                    bound.append(_listen(family, (ip, port_of(bound[0]) if bound else port), reuse_port=reuse_port))
                except OSError as error:
                    if error.errno not in _MISSING_ADDRESS_ERRORS:
                        raise
                    missing = error
        except OSError:
            for each in bound:
                each.close()
            if port or not bound:
                raise
            continue
        if bound:
            return bound
        if host == "::":
            return [_listen(socket.AF_INET, ("0.0.0.0", port), reuse_port=reuse_port)]  # noqa: S104 - see bind
        raise missing or OSError(errno.EADDRNOTAVAIL, "the host has no address")
    raise OSError(errno.EADDRINUSE, "no port is free on all addresses of the host")


def _listen(family: int, address: object, *, reuse_port: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if reuse_port else socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)  # type: ignore[arg-type] # an address of the family
        bound.settimeout(0)
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def port_of(bound: socket.socket) -> int:
    """Return the port of a socket; like grpcio, return 1 for a Unix socket."""
    return 1 if bound.family == socket.AF_UNIX else bound.getsockname()[1]


def peer_name(connected: socket.socket, address: tuple[object, ...]) -> str:
    """Return the address of a client in the format of gRPC: https://grpc.github.io/grpc/cpp/md_doc_naming.html."""
    if connected.family == socket.AF_UNIX:
        return "unix:"
    host, port = str(address[0]), address[1]
    if host.startswith("::ffff:") and "." in host:
        return f"ipv4:{host.removeprefix('::ffff:')}:{port}"
    return f"ipv4:{host}:{port}" if connected.family == socket.AF_INET else f"ipv6:%5B{host}%5D:{port}"


class Listener:
    """A listening socket that accepts connections.

    Args:
        loop: the event loop.
        bound: the listening socket.
        accepted: called with the socket of each connection and the address of the client.
        may_accept: returns whether another connection may be accepted.
    """

    def __init__(
        self,
        loop: Loop,
        bound: socket.socket,
        accepted: Callable[[socket.socket, str], None],
        may_accept: Callable[[], bool],
    ) -> None:
        """Start accepting connections."""
        self._loop = loop
        self._socket = bound
        self._accepted = accepted
        self._may_accept = may_accept
        self._is_paused = False
        self._next_warning = 0.0
        loop.add(bound.fileno(), select.EPOLLIN, self._on_event)

    def _on_event(self, _events: int) -> None:
        for _ in range(_MAX_ACCEPTED):
            if not self._may_accept():
                self._pause()
                return
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept a connection, if any; return whether there may be more."""
        try:
            connected, address = self._socket.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _EXHAUSTION_ERRORS:
                self._warn(error)
                self._pause()
                return False
            return error.errno == errno.ECONNABORTED  # the client has closed the connection
        connected.settimeout(0)
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._accepted(connected, peer_name(connected, address))
        return True

    def _warn(self, error: OSError) -> None:
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _WARNING_SECONDS
            _LOGGER.warning("cannot accept connections for now: %s", error.strerror)

    def _pause(self) -> None:
        self._is_paused = True
        self._loop.remove(self._socket.fileno())
        self._loop.timers.add(time.monotonic() + _PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._loop.add(self._socket.fileno(), select.EPOLLIN, self._on_event)

    def close(self) -> None:
        """Accept the connections in the listen queue, which would otherwise be reset, and stop listening."""
        while not self._is_paused and self._may_accept() and self._accept():
            pass
        if not self._is_paused:
            self._loop.remove(self._socket.fileno())
        self._is_paused = False
        if self._socket.family == socket.AF_UNIX:
            with contextlib.suppress(OSError):
                Path(self._socket.getsockname()).unlink()
        self._socket.close()
