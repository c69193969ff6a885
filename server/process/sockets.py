"""Reservation of a port on the addresses of hosts, with clear errors, until one or several processes listen on it."""

import contextlib
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Sequence

_LOGGER = logging.getLogger(__name__)

ALL_INTERFACES = ("::",)
LOOPBACK = ("localhost",)

_ALL_IPV4 = "0.0.0.0"  # noqa: S104 - a server in a container must listen on all interfaces

# EINVAL is the error for a link-local IPv6 address, which would also need the name of an interface.
_MISSING_ADDRESS_ERRORS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)

# With port 0, a port that is free on the first address may be in use on another one. Then, another port is tried.
_ATTEMPTS = 10


class HostError(ValueError):
    """A host is not a name or an address of this machine. The message names --host, its value and what is accepted."""

    def __init__(self, host: str, reason: str) -> None:
        accepted = "an IP address (but not a link-local one) or a host name of this machine"
        super().__init__(f"--host={host!r}: {reason}; must be {accepted}")


class ListenError(OSError):
    """The server cannot listen on an address. The message contains the address and the reason."""


class _PortInUseError(ListenError):
    """Another program uses the port."""


def _bind(ip: str, port: int, option: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((ip, port))
    except OSError:
        bound.close()
        raise
    return bound


def _port_of(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def _bind_unused(ip: str, port: int, *, is_shared: bool) -> socket.socket:
    """Bind a port on which no other server listens."""
    if not is_shared:
        return _bind(ip, port, socket.SO_REUSEADDR)
    # SO_REUSEPORT alone would share the port with another server of the same user.
    with _bind(ip, port, socket.SO_REUSEADDR) as probe:
        port = _port_of(probe)
    return _bind(ip, port, socket.SO_REUSEPORT)


def _listen_error(ip: str, port: int, error: OSError) -> ListenError:
    kind, hint = {
        errno.EADDRINUSE: (_PortInUseError, "; another program is using it: choose another port with --port"),
        errno.EACCES: (ListenError, "; ports below 1024 require root: choose another port with --port"),
    }.get(error.errno or 0, (ListenError, ""))
    return kind(f"cannot listen on {_address(ip, port)}: {os.strerror(error.errno or 0)}{hint}")


def _address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _why_missing(ip: str) -> str:
    """Return why the machine does not have an IP address; an empty text if it has."""
    if ip == "255.255.255.255" or ipaddress.ip_address(ip.partition("%")[0]).is_multicast:
        return "a broadcast or multicast address"  # which can be bound, but receives no connections
    try:
        _bind(ip, 0, socket.SO_REUSEADDR).close()
    except OSError as error:
        if error.errno in _MISSING_ADDRESS_ERRORS:
            return os.strerror(error.errno)
    return ""


def resolve(host: str) -> list[str]:
    """Return all IP addresses of a host, which the machine may not have.

    Args:
        host: an IPv4 address, an IPv6 address with or without brackets, or a host name.

    Raises:
        HostError: the host is none of these, or the name is unknown.
    """
    if host == "localhost":  # RFC 6761, section 6.3; /etc/hosts may list only one of them
        return ["127.0.0.1", "::1"]
    ip_or_name = host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else host
    # A text with a colon is not a name, so the DNS is not asked for it.
    flags = socket.AI_NUMERICHOST if ":" in ip_or_name else 0
    try:
        found = socket.getaddrinfo(ip_or_name, None, type=socket.SOCK_STREAM, flags=flags)
    except (socket.gaierror, ValueError) as error:
        raise HostError(host, f"cannot be resolved ({getattr(error, 'strerror', error)})") from error
    return [_plain(str(address[0])) for *_, address in found]


def _plain(ip: str) -> str:
    """Return the IPv4 address that an IPv4-mapped IPv6 address stands for, and other addresses unchanged."""
    mapped = ipaddress.IPv6Address(ip.partition("%")[0]).ipv4_mapped if ":" in ip else None
    return str(mapped or ip)


def _local_ips(host: str) -> list[str]:
    """Return the IP addresses of a host that this machine has. A name may have others, such as ::1 without IPv6."""
    missing = {ip: _why_missing(ip) for ip in resolve(host)}
    local = [ip for ip, reason in missing.items() if not reason]
    if local:
        return local
    if "::" in missing:
        _LOGGER.info("No IPv6 on this machine: listening only on IPv4")
        return [_ALL_IPV4]
    raise HostError(host, "cannot listen on " + ", ".join(f"{ip} ({reason})" for ip, reason in missing.items()))


def _local_ips_of_all(hosts: Sequence[str]) -> list[str]:
    """Return the IP addresses of hosts, without duplicates and without those that :: or 0.0.0.0 includes."""
    ips = list(dict.fromkeys(ip for host in hosts for ip in _local_ips(host)))
    if "::" in ips:
        return ["::"]
    return [ip for ip in ips if ip == _ALL_IPV4 or ":" in ip or _ALL_IPV4 not in ips]


class ReservedPort:
    """A port that this process reserves, with the same number on all addresses of some hosts.

    The port is bound, but this process does not listen on it, so it receives no connections. Meanwhile a server that
    sets SO_REUSEADDR, as gRPC servers and Envoy do, can listen on it.

    Args:
        hosts: IP addresses, with or without brackets, and host names. "::" means all interfaces, IPv4 only if the
            machine does not support IPv6. "localhost" means 127.0.0.1 and ::1.
        port: the port number; 0 means any free port.
        is_shared: whether several processes of the same user will listen on the port, with SO_REUSEPORT.

    Attributes:
        ips: the IP addresses.
        port: the actual port number.

    Raises:
        HostError: a host name is unknown, or the machine does not have any of the addresses of a host.
        ListenError: the port cannot be bound, or another server listens on it, even one that set SO_REUSEPORT and
            would share it.
    """

    def __init__(self, hosts: Sequence[str], port: int, *, is_shared: bool = False) -> None:
        """Reserve the port."""
        self.ips = _local_ips_of_all(hosts)
        self.port = port
        self._sockets = contextlib.ExitStack()
        for attempts_left in reversed(range(_ATTEMPTS)):
            try:
                self._reserve(is_shared=is_shared)
            except _PortInUseError:
                if port or not attempts_left:
                    raise
                self.port = 0
            else:
                return

    def _reserve(self, *, is_shared: bool) -> None:
        with contextlib.ExitStack() as sockets:
            for ip in self.ips:
                try:
                    bound = sockets.enter_context(_bind_unused(ip, self.port, is_shared=is_shared))
                except OSError as error:
                    raise _listen_error(ip, self.port, error) from error
                self.port = _port_of(bound)
            self._sockets = sockets.pop_all()

    @property
    def addresses(self) -> list[str]:
        """The addresses, as IPV4:PORT or [IPV6]:PORT."""
        return [_address(ip, self.port) for ip in self.ips]

    def __str__(self) -> str:
        """Return the addresses for a person."""
        return ", ".join(self.addresses)

    def close(self) -> None:
        """Close this process's copies of the sockets, after its own server has bound the port."""
        self._sockets.close()
