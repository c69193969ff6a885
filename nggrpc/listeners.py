"""The sockets that a server listens on: how an address is bound, and how connections are accepted."""

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

# How many connections are accepted before other events have their turn.
_ACCEPTED = 64

# When there are no descriptors left, some may be in a moment.
_PAUSE_SECONDS = 0.1

# How often the log says so.
_WARNING_SECONDS = 60.0

# How many descriptors are left for files, for connections of handlers, and for listening sockets.
_RESERVED_DESCRIPTORS = 100

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# A port that is free on one address of a host may be taken on another.
_ATTEMPTS = 10

# A host may have addresses that this machine does not have: names are in files, IPv6 may be off.
_NO_ADDRESS = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def max_connections() -> int:
    """Return how many connections the process's limit of open files allows, with some descriptors to spare."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else max(limit - _RESERVED_DESCRIPTORS, limit // 2)


def bind(address: str, *, reuse_port: bool) -> list[socket.socket]:
    """Return sockets that listen on an address: one for each IP address of the host that this machine has.

    Connections wait in the listen queue until a `Listener` accepts them.

    Args:
        address: "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Port 0 is any free port. "[::]" is every interface, by IPv4
            alone where there is no IPv6.
        reuse_port: whether other processes may bind the same port.

    Raises:
        RuntimeError: it cannot be bound; the message says why. grpcio raises this type, too.
    """
    try:
        if address.startswith("unix:"):
            return [_bound(socket.AF_UNIX, address.removeprefix("unix:").removeprefix("//"), reuse_port=False)]
        host, _, port = address.rpartition(":")
        if not port.isdecimal():
            raise RuntimeError(f"cannot bind {address!r}: accepted are HOST:PORT, [IPV6]:PORT and unix:PATH")
        return _bound_to_host(host.strip("[]"), int(port), reuse_port=reuse_port)
    except OSError as error:
        raise RuntimeError(f"cannot bind {address!r}: {error.strerror or error}") from error


def _bound_to_host(host: str, port: int, *, reuse_port: bool) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = {(family, place[0]) for family, _, _, _, place in found}
    for _ in range(_ATTEMPTS):
        bound: list[socket.socket] = []
        missing: OSError | None = None
        try:
            for family, ip in places:
                try:
                    bound.append(_bound(family, (ip, port_of(bound[0]) if bound else port), reuse_port=reuse_port))
                except OSError as error:
                    if error.errno not in _NO_ADDRESS:
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
            return [_bound(socket.AF_INET, ("0.0.0.0", port), reuse_port=reuse_port)]  # noqa: S104 - as "[::]" asks
        raise missing or OSError(errno.EADDRNOTAVAIL, "the host has no address")
    raise OSError(errno.EADDRINUSE, "no port is free on all addresses of the host")


def _bound(family: int, place: object, *, reuse_port: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if reuse_port else socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(place)  # type: ignore[arg-type] # an address of the family
        bound.settimeout(0)
        bound.listen(_BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def port_of(bound: socket.socket) -> int:
    """Return the port of a socket; 1 for a socket of the file system, as grpcio does."""
    return 1 if bound.family == socket.AF_UNIX else bound.getsockname()[1]


def peer_name(connected: socket.socket, place: tuple[object, ...]) -> str:
    """Return the address of a client in gRPC's form: https://grpc.github.io/grpc/cpp/md_doc_naming.html."""
    if connected.family == socket.AF_UNIX:
        return "unix:"
    host, port = str(place[0]), place[1]
    if host.startswith("::ffff:") and "." in host:
        return f"ipv4:{host.removeprefix('::ffff:')}:{port}"
    return f"ipv4:{host}:{port}" if connected.family == socket.AF_INET else f"ipv6:%5B{host}%5D:{port}"


class Listener:
    """A socket that listens.

    Args:
        loop: the I/O thread.
        bound: the socket.
        accepted: takes each connection: its socket and the address of the client.
        may_accept: whether there is room for another connection.
    """

    def __init__(
        self,
        loop: Loop,
        bound: socket.socket,
        accepted: Callable[[socket.socket, str], None],
        may_accept: Callable[[], bool],
    ) -> None:
        """Begin to accept."""
        self._loop = loop
        self._socket = bound
        self._accepted = accepted
        self._may_accept = may_accept
        self._is_paused = False
        self._next_warning = 0.0
        loop.add(bound.fileno(), select.EPOLLIN, self._on_event)

    def _on_event(self, _events: int) -> None:
        for _ in range(_ACCEPTED):
            if not self._may_accept():
                self._pause()
                return
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept a connection, if there is one; return whether there may be more."""
        try:
            connected, place = self._socket.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._warn(error)
                self._pause()
                return False
            return error.errno == errno.ECONNABORTED  # the client has gone before it was accepted
        connected.settimeout(0)
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._accepted(connected, peer_name(connected, place))
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
        """Accept the connections that wait in the listen queue, which closing would reset, and listen no longer."""
        while not self._is_paused and self._may_accept() and self._accept():
            pass
        if not self._is_paused:
            self._loop.remove(self._socket.fileno())
        self._is_paused = False
        if self._socket.family == socket.AF_UNIX:
            with contextlib.suppress(OSError):
                Path(self._socket.getsockname()).unlink()
        self._socket.close()
