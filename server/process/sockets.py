"""The port: which addresses can be had, and why one cannot; and how several processes share one."""

import errno
import logging
import os
import socket

_LOGGER = logging.getLogger(__name__)

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class ListenError(OSError):
    """The port cannot be had; the message says which and why."""


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
    """Return the host part of an address that can be bound, and what is bound to it.

    That is every interface, by IPv6 and IPv4 if there is IPv6. grpc's own error for a port that cannot be had is some
    lines and gives no reason; binding it by hand first does.
    """
    try:
        try:
            return "[::]", _bound(socket.AF_INET6, "::", port, option)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
            _LOGGER.info("No IPv6 on this machine: listening on IPv4 alone")
            # A server in a container listens everywhere.
            return "0.0.0.0", _bound(socket.AF_INET, "0.0.0.0", port, option)  # noqa: S104
    except OSError as error:
        hint = {
            errno.EADDRINUSE: "; another program has it: choose another with --port",
            errno.EACCES: "; ports below 1024 are for root: choose another with --port",
        }.get(error.errno or 0, "")
        raise ListenError(f"cannot listen on port {port}: {os.strerror(error.errno or 0)}{hint}") from error


def bindable_host(port: int) -> str:
    """Return the host part of an address that can be listened on.

    Args:
        port: which port, 0 for any free one.

    Raises:
        ListenError: there is none.
    """
    found, bound = _bind(port, socket.SO_REUSEADDR)
    bound.close()
    return found


class SharedPort:
    """A port that this process keeps, for others of the same user to listen on.

    Args:
        port: which, 0 for any free one.

    Attributes:
        host: the host part of its address.
        port: its number.

    Raises:
        ListenError: it cannot be had; another server has it, even if that one would share it.
    """

    def __init__(self, port: int) -> None:
        """Keep it."""
        bindable_host(port)
        # What is bound, and does not listen, gets no connections.
        self.host, self._bound = _bind(port, socket.SO_REUSEPORT)
        self.port: int = self._bound.getsockname()[1]

    def release(self) -> None:
        """Keep it no more: this process listens on it, or is to leave it to the others."""
        self._bound.close()
