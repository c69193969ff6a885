"""//ingress: Envoy in front of a server on this machine: the page, gRPC-Web, JSON, and gRPC as it is."""

import argparse
import contextlib
import importlib.util
import ipaddress
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from string import Template

from ingress import envoy, stopping
from ingress.envoy import Envoy, EnvoyError

_HERE = Path(__file__).parent
_HIGHEST_PORT = 65535
# Whoever kills it does so after 10 s: https://cloud.google.com/run/docs/container-contract#instance-shutdown
_DRAIN_SECONDS = 8
# Who has begun another request until then has heard, by its answer, that its connection ends (see drain_timeout).
# A connection that is idle hears of nothing until it is cut: https://github.com/envoyproxy/envoy/issues/14350
_NOTICE_SECONDS = 2
_DRAIN_FLAGS = ("--drain-time-s", str(_DRAIN_SECONDS), "--drain-strategy", "immediate")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: accepted are 0 to {_HIGHEST_PORT}")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: accepted are those of IPv4 and IPv6") from error


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ingress", description="Serve the page, and a server to browsers.")
    parser.add_argument(
        "--port", type=_port, default=os.environ.get("PORT", "8080"), help="where to listen (default: $PORT, else 8080)"
    )
    parser.add_argument(
        "--address", type=_address, default="::", help="of the machine's addresses which one (default: all)"
    )
    parser.add_argument("--server-port", type=_port, default="50051", help="the server's, here (default: 50051)")
    return parser.parse_args(words)


def configuration(address: str, port: int, server_port: int) -> str:
    """Return the configuration of Envoy, in YAML.

    Args:
        address: the IP address to listen on; "::" means all, those of IPv4 included.
        port: the port to listen on; 0 means a free one.
        server_port: the port of the server, on this machine.
    """
    template = (_HERE / "envoy.yaml").read_text(encoding="utf-8")
    return Template(template).substitute(
        address=address,
        ipv4_compat=str(address == "::").lower(),
        descriptors=_HERE / "descriptors.pb",
        page=_HERE.parent / "web/page.html",
        port=port,
        server_port=server_port,
    )


def _program() -> Path:
    """Return Envoy, which is a file of its wheel."""
    [folder] = importlib.util.find_spec("envoy").submodule_search_locations  # type: ignore[union-attr,misc]
    return Path(folder, "_bin", "envoy")


def _active(process: Envoy, what: str) -> int:
    """Return how many connections or requests there are."""
    name = f"http.ingress.downstream_{what}_active"
    return int(process.ask("GET", f"/stats?filter=^{name}$").rpartition(":")[2])


def _drain(process: Envoy) -> None:
    """Have callers go elsewhere, and let what they have begun come to its end."""
    process.ask("POST", "/drain_listeners?graceful")
    begun = time.monotonic()
    while (lasted := time.monotonic() - begun) < _DRAIN_SECONDS and _active(process, "cx"):
        if lasted > _NOTICE_SECONDS and not _active(process, "rq"):
            return
        time.sleep(0.02)  # Envoy tells of no event


def _serve(address: str, port: int, server_port: int, folder: Path) -> None:
    """Serve until a signal, with the files of Envoy in a folder."""
    with envoy.running(_program(), configuration(address, port, server_port), folder, *_DRAIN_FLAGS) as process:
        try:
            host = f"[{address}]" if ":" in address else address
            print(f"Listening on {host}:{process.port()}", file=sys.stderr, flush=True)
            process.process.wait()
        except stopping.Stopped as stopped:
            if stopped.number == signal.SIGTERM:
                with contextlib.suppress(EnvoyError):  # it may not have begun to serve
                    _drain(process)
        else:
            raise EnvoyError("Envoy has ended")


def main(words: Sequence[str]) -> int:
    """Serve; return 1 if that did not work."""
    arguments = _arguments(words)
    stopping.raise_when_told_to_stop()
    try:
        with tempfile.TemporaryDirectory(prefix="ingress-") as folder:
            _serve(arguments.address, arguments.port, arguments.server_port, Path(folder))
    except stopping.Stopped:
        return 0  # before it served
    except EnvoyError as error:
        print(f"ingress: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
