"""//ingress: an Envoy in front of a server on this machine, for the page, gRPC-Web, JSON and gRPC."""

import argparse
import contextlib
import importlib.util
import ipaddress
import json
import os
import re
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
# https://www.rfc-editor.org/rfc/rfc6454#section-7: in lower case, as browsers send it.
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
# Cloud Run sends SIGKILL after 10 s: https://cloud.google.com/run/docs/container-contract#instance-shutdown
_DRAIN_SECONDS = 8
# While any connection is open, a drain lasts at least this long, even if no request is in flight. A client that sends a
# request during this time learns from the response that its connection will close (drain_timeout in envoy.yaml). An
# idle connection is closed without notice: https://github.com/envoyproxy/envoy/issues/14350
_NOTICE_SECONDS = 2
_DRAIN_FLAGS = ("--drain-time-s", str(_DRAIN_SECONDS), "--drain-strategy", "immediate")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: must be 0 to {_HIGHEST_PORT}")
    return int(text)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 or IPv6 address") from error


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an origin: must be http(s)://HOST[:PORT] in lower case, without a path"
        )
    return text


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ingress", description="Serve the page, and forward gRPC-Web, JSON and gRPC.")
    parser.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("PORT", "8080"),
        help="port to listen on, 0 for a free one (default: $PORT, else 8080)",
    )
    parser.add_argument("--address", type=_address, default="::", help="IP address to listen on (default: all)")
    parser.add_argument(
        "--server-port", type=_port, default="50051", help="port of the server, on this machine (default: 50051)"
    )
    parser.add_argument(
        "--allow-origin",
        type=_origin,
        action="append",
        default=[],
        metavar="ORIGIN",
        help="origin whose pages may call the server (CORS), such as https://example.com; repeatable",
    )
    return parser.parse_args(words)


def configuration(address: str, port: int, server_port: int, allowed_origins: Sequence[str] = ()) -> str:
    """Return the configuration of Envoy, in YAML.

    Args:
        address: the IP address to listen on; "::" means all addresses, including IPv4.
        port: the port to listen on; 0 means a free one.
        server_port: the port of the server, on this machine.
        allowed_origins: the origins whose pages may call the server, in addition to the page of the ingress.
    """
    template = (_HERE / "envoy.yaml").read_text(encoding="utf-8")
    return Template(template).substitute(
        address=address,
        allowed_origins=json.dumps([{"exact": origin} for origin in allowed_origins]),
        ipv4_compat=str(address == "::").lower(),
        descriptors=_HERE / "descriptors.pb",
        json_lua=_HERE / "json.lua",
        page=_HERE.parent / "web/page.html",
        port=port,
        server_port=server_port,
    )


def _program() -> Path:
    """Return the path of Envoy, which comes in a wheel."""
    [folder] = importlib.util.find_spec("envoy").submodule_search_locations  # type: ignore[union-attr,misc]
    return Path(folder, "_bin", "envoy")


def _active(process: Envoy, kind: str) -> int:
    """Return the number of active connections ("cx") or requests ("rq")."""
    name = f"http.ingress.downstream_{kind}_active"
    return int(process.ask("GET", f"/stats?filter=^{name}$").rpartition(":")[2])


def _drain(process: Envoy) -> None:
    """Send callers elsewhere, and wait until the requests in flight have finished."""
    process.ask("POST", "/drain_listeners?graceful")
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < _DRAIN_SECONDS and _active(process, "cx"):
        if elapsed > _NOTICE_SECONDS and not _active(process, "rq"):
            return
        time.sleep(0.02)  # poll, because Envoy does not signal the end of a request


def _serve(address: str, settings: str, folder: Path) -> None:
    """Serve until a signal; the folder is for the files of Envoy."""
    with envoy.running(_program(), settings, folder, *_DRAIN_FLAGS) as process:
        try:
            host = f"[{address}]" if ":" in address else address
            print(f"Listening on {host}:{process.port()}", file=sys.stderr, flush=True)
            process.process.wait()
        except stopping.Stopped as stopped:
            if stopped.number == signal.SIGTERM:
                with contextlib.suppress(EnvoyError):  # Envoy may not have started to serve
                    _drain(process)
        else:
            raise EnvoyError("Envoy has ended")


def main(words: Sequence[str]) -> int:
    """Serve until a signal; return 1 if Envoy failed."""
    arguments = _arguments(words)
    settings = configuration(arguments.address, arguments.port, arguments.server_port, arguments.allow_origin)
    stopping.raise_when_told_to_stop()
    try:
        with tempfile.TemporaryDirectory(prefix="ingress-") as folder:
            _serve(arguments.address, settings, Path(folder))
    except stopping.Stopped:
        return 0  # the signal came before the ingress served
    except EnvoyError as error:
        print(f"ingress: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
