"""//ingress: an Envoy in front of a server on this machine, for the page, gRPC-Web, JSON and gRPC."""

import argparse
import contextlib
import importlib.util
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
from server.process.sockets import ALL_INTERFACES, HostError, ListenError, ReservedPort

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
    parser.add_argument(
        "--host",
        action="append",
        help="IP address or host name of this machine to listen on; repeatable (default: all interfaces)",
    )
    parser.add_argument(
        "--server-port", type=_port, default="50051", help="port of the server, on 127.0.0.1 (default: 50051)"
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


def configuration(reserved: ReservedPort, server_port: int, allowed_origins: Sequence[str] = ()) -> str:
    """Return the configuration of Envoy, in YAML.

    Args:
        reserved: the port to listen on.
        server_port: the port of the server, on 127.0.0.1.
        allowed_origins: the origins whose pages may call the server, in addition to the page of the ingress.
    """
    template = (_HERE / "envoy.yaml").read_text(encoding="utf-8")
    return Template(template).substitute(
        allowed_origins=json.dumps([{"exact": origin} for origin in allowed_origins]),
        descriptors=_HERE / "descriptors.pb",
        json_lua=_HERE / "json.lua",
        page=_HERE.parent / "web/page.html",
        server_port=server_port,
        **{name: json.dumps(value) for name, value in envoy.listen_on(reserved).items()},
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


def _serve(reserved: ReservedPort, settings: str, folder: Path) -> None:
    """Serve until a signal; the folder is for the files of Envoy."""
    with envoy.running(_program(), settings, folder, *_DRAIN_FLAGS) as process:
        try:
            process.port()  # Envoy listens now
            print(f"Listening on {reserved}", file=sys.stderr, flush=True)
            process.process.wait()
        except stopping.Stopped as stopped:
            if stopped.number == signal.SIGTERM:
                with contextlib.suppress(EnvoyError):  # Envoy may not have started to serve
                    _drain(process)
        else:
            raise EnvoyError("Envoy has ended")


def main(words: Sequence[str]) -> int:
    """Serve until a signal; return 1 if Envoy failed or the port is in use, 2 if a host is not of this machine."""
    arguments = _arguments(words)
    stopping.raise_when_told_to_stop()
    try:
        reserved = ReservedPort(arguments.host or ALL_INTERFACES, arguments.port)
        settings = configuration(reserved, arguments.server_port, arguments.allow_origin)
        with contextlib.closing(reserved), tempfile.TemporaryDirectory(prefix="ingress-") as folder:
            _serve(reserved, settings, Path(folder))
    except stopping.Stopped:
        return 0  # the signal came before the ingress served
    except (EnvoyError, HostError, ListenError) as error:
        print(f"ingress: {error}", file=sys.stderr)
        return 2 if isinstance(error, HostError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
