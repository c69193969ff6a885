"""//web: the calculator in a browser. Runs a server, and in front of it the ingress, which serves the page."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.emulator import hosts, instances
from deploy.emulator.instances import Program
from ingress import stopping
from server.process.sockets import LOOPBACK


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="web", description="Show the calculator in a browser.")
    parser.add_argument("--port", default="8080", help="port to listen on, 0 for a free one (default: 8080)")
    hosts.add_flag(parser)
    parser.add_argument(
        "--server-flag", action="append", default=[], help="a flag for //server, such as --log-format=json; repeatable"
    )
    for name in ("ingress", "server"):
        parser.add_argument(f"--{name}-path", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _serve(host: str, server: Sequence[str], ingress: Sequence[str]) -> None:
    """Serve until a signal.

    Args:
        host: the host part of the URL of the page.
        server: the command line of //server.
        ingress: the command line of //ingress, without the port of the server.
    """
    programs = (
        Program("server", lambda _: server),
        Program("ingress", lambda port: [*ingress, f"--server-port={port}"]),
    )
    with instances.serving(programs, os.environ) as [port]:
        print(f"The calculator is at http://{host}:{port}. Ctrl+C stops it.", flush=True)
        signal.pause()


def main(words: Sequence[str]) -> int:
    """Serve until a signal; return 1 if a program did not start."""
    arguments = _arguments(words)
    server = [str(arguments.server_path.absolute()), "--host=127.0.0.1", *arguments.server_flag]
    ingress = [str(arguments.ingress_path.absolute()), f"--port={arguments.port}"]
    served_hosts = arguments.hosts or LOOPBACK
    ingress += [f"--host={host}" for host in served_hosts]
    stopping.raise_when_told_to_stop()
    try:
        _serve(hosts.url_host(served_hosts), server, ingress)
    except instances.InstanceError as error:
        print(f"web: {error}", file=sys.stderr)
        return 1
    except stopping.Stopped:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
