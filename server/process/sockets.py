"""Binding of the port: on IPv6 or IPv4, with clear errors, and shared by several processes."""

import errno
import logging
import os
import socket

_LOGGER = logging.getLogger(__name__)

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class ListenError(OSError):
    """The server cannot listen on the port. The message contains the port and the reason."""


def _bound(family: socket.AddressFamily, host: str, port: int, option: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _bind(port: int, option: int) -> tuple[str, socket.socket]:
    """Return the host part of an address that can be bound, and a socket that is bound to it.

    The address covers all interfaces, for IPv6 and IPv4 if the machine supports IPv6. The port is bound here before
    grpc binds it, since grpc's own error has several lines and does not contain the reason.
    """
    try:
        try:
            return "[::]", _bound(socket.AF_INET6, "::", port, option)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
            _LOGGER.info("No IPv6 on this machine: listening only on IPv4")
            # A server in a container must listen on all interfaces.
            return "0.0.0.0", _bound(socket.AF_INET, "0.0.0.0", port, option)  # noqa: S104
    except OSError as error:
        hint = {
            errno.EADDRINUSE: "; another program is using it: choose another port with --port",
            errno.EACCES: "; ports below 1024 require root: choose another port with --port",
        }.get(error.errno or 0, "")
        raise ListenError(f"cannot listen on port {port}: {os.strerror(error.errno or 0)}{hint}") from error


def bindable_host(port: int) -> str:
    """Return the host part of an address on which the server can listen.

    Args:
        port: the port number; 0 means any free port.

    Raises:
        ListenError: the port cannot be bound.
    """
    found, bound = _bind(port, socket.SO_REUSEADDR)
    bound.close()
    return found


class SharedPort:
    """A port that this process reserves, on which other processes of the same user can listen.

    Args:
        port: the port number; 0 means any free port.

    Attributes:
        host: the host part of the address.
        port: the actual port number.

    Raises:
        ListenError: the port cannot be bound, or another server listens on it, even one that set
            SO_REUSEPORT and would share it.
    """

    def __init__(self, port: int) -> None:
        """Reserve the port."""
        bindable_host(port)
        # A socket that is bound but does not listen receives no connections.
        self.host, self._bound = _bind(port, socket.SO_REUSEPORT)
        self.port: int = self._bound.getsockname()[1]

    def release(self) -> None:
        """Close this process's copy of the reserving socket, after this process's own server has bound the port."""
        self._bound.close()
