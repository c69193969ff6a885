"""The flag --host of //web and //deploy:local, which by default serve only this machine."""

import argparse
from collections.abc import Sequence

from server.process.sockets import LOOPBACK, resolve

_ALL_INTERFACES = ("::", "0.0.0.0")  # noqa: S104 - only compared


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag to a parser. The parsed arguments have `hosts`: a list, or None if the flag is not given."""
    parser.add_argument(
        "--host",
        dest="hosts",
        action="append",
        metavar="HOST",
        help=f"IP address or host name of this machine to listen on; repeatable (default: {' '.join(LOOPBACK)})",
    )


def url_host(hosts: Sequence[str]) -> str:
    """Return the host part of the URL by which a client on this machine reaches a program that listens on the hosts."""
    first = hosts[0].strip("[]")
    if any(ip in _ALL_INTERFACES for ip in resolve(hosts[0])):
        return "localhost"
    return f"[{first}]" if ":" in first else first
