"""The IP addresses on which programs listen, as the kernel reports them."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testing import programs

_LISTEN = "0A"
_WORD = 8  # hexadecimal digits


def ips(process: int) -> set[str]:
    """Return the IP addresses on which a process and its descendants listen over TCP.

    The format of the files is described in https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html.
    """
    files = {file for each in (process, *programs.descendants(process)) for file in _open_files(each)}
    found = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/{process}/net/{table}").read_text("ascii").splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == _LISTEN and f"socket:[{rest[5]}]" in files:
                ip = socket.inet_ntop(family, _packed(local.partition(":")[0]))
                found.add(ip.removeprefix("::ffff:"))  # grpcio listens on an IPv4 address with an IPv6 socket
    return found


def _open_files(process: int) -> Iterator[str]:
    """Yield the names of the open files of a process. That of a socket is like `socket:[4026]`."""
    for file in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # the process has closed it meanwhile
            yield str(file.readlink())


def _packed(address: str) -> bytes:
    """Return the bytes of an address whose 32-bit words are in the byte order of an x86 CPU."""
    words = [address[start : start + _WORD] for start in range(0, len(address), _WORD)]
    return b"".join(bytes.fromhex(word)[::-1] for word in words)
