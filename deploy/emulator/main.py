"""//deploy:local: Cloud Run on one's own machine: a front that checks tokens, instances, a metadata server."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bazel.oci.container import Container
from bazel.oci.layout import Layout
from deploy.emulator import front, instances
from deploy.emulator.instances import Program
from ingress import stopping
from ingress.envoy import EnvoyError
from testing.certificate_authority import Authority
from testing.fake_metadata_server import MetadataServer
from testing.id_token_issuer import Issuer

_AUDIENCE = "https://localhost"
_SERVICE = {"K_SERVICE": "calculator", "K_REVISION": "calculator-00001-dev", "K_CONFIGURATION": "calculator"}
# As in service.yaml.
_SERVER_FLAGS = ("--shutdown-delay=3", "--shutdown-grace=6")

_TRY = """\
Cloud Run on this machine: https://localhost:{port}. Ctrl+C stops it. In another terminal:

  export GCE_METADATA_HOST={metadata}
  ./bazelw run //client -- --target localhost:{port} --ca-cert {ca_cert} --auth identity-token add 2 3

  TOKEN=$(curl -s -H 'Metadata-Flavor: Google' \\
    'http://{metadata}/computeMetadata/v1/instance/service-accounts/default/identity?audience={audience}')
  ./bazelw run //tools/grpcurl -- -cacert {ca_cert} -H "authorization: Bearer $TOKEN" localhost:{port} list
  curl --http1.1 --cacert {ca_cert} -H "authorization: Bearer $TOKEN" -H "content-type: application/json" \\
    -d '{{"operation": "OPERATION_ADD", "first_operand": 2, "second_operand": 3}}' \\
    https://localhost:{port}/calculator.v1.Calculator/Calculate
"""


# Cloud Run's own limits, but for the port: https://cloud.google.com/run/quotas.
_RANGES = {"port": (0, 65535), "instances": (1, 100), "concurrency": (1, 1000), "timeout": (1, 3600)}


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="local", description="Run the calculator as Cloud Run would, on this machine."
    )
    parser.add_argument("--port", type=int, default=8443, help="where to listen; 0 is a free one (default: 8443)")
    parser.add_argument("--instances", type=int, default=1, help="how many servers (default: 1)")
    parser.add_argument("--concurrency", type=int, default=80, help="requests at a time for each (default: 80)")
    parser.add_argument("--timeout", type=int, default=300, help="seconds that a request may take (default: 300)")
    parser.add_argument("--binary", action="store_true", help="run //server and //ingress, not the images")
    parser.add_argument("--allow-unauthenticated", action="store_true", help="let requests without a token through")
    parser.add_argument("--http1", action="store_true", help="speak HTTP/1 to the servers, as without --use-http2")
    for name in ("bubblewrap", "envoy", "ingress", "ingress-image", "server", "server-image"):
        parser.add_argument(f"--{name}-path", type=Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    for name, (lowest, highest) in _RANGES.items():
        value = getattr(arguments, name)
        if not lowest <= value <= highest:
            parser.error(f"--{name} is {value}: accepted are {lowest} to {highest}")
    return arguments


def _program(arguments: argparse.Namespace, name: str, folder: Path, *flags: str) -> Program:
    """Return one of the two programs of an instance: its image, or its binary.

    Args:
        arguments: what the command line says.
        name: server or ingress.
        folder: where the image is to be unpacked.
        flags: the program's; {port} is that of the program before it.
    """
    command = [str(getattr(arguments, f"{name}_path").absolute())]
    process_of: Callable[[int], int] = instances.itself
    if not arguments.binary:
        root = folder / name
        root.mkdir()
        container = Container(Layout(getattr(arguments, f"{name}_image_path")), root, arguments.bubblewrap_path)
        command, process_of = container.command({"PORT": "0"} | _SERVICE), container.process
    return Program(name, lambda port: [*command, *(flag.format(port=port) for flag in flags)], process_of)


def _serve(arguments: argparse.Namespace, folder: Path) -> None:
    """Serve until a signal."""
    issuer, authority = Issuer(), Authority()
    settings = front.Front(
        audiences=(_AUDIENCE,),
        concurrency=arguments.concurrency,
        is_http1=arguments.http1,
        is_public=arguments.allow_unauthenticated,
        keys=issuer.keys(),
        port=arguments.port,
        timeout=arguments.timeout,
    )
    programs = (
        _program(arguments, "server", folder, *_SERVER_FLAGS),
        _program(arguments, "ingress", folder, "--address=127.0.0.1", "--server-port={port}"),
    )
    envoy = arguments.envoy_path.absolute()
    with (
        instances.serving(programs, os.environ | _SERVICE, arguments.instances) as ports,
        MetadataServer(issuer) as metadata,
        front.serving(envoy, settings, ports, authority, folder) as running,
    ):
        port, ca_cert = running.port(), folder / "ca.crt"
        print(_TRY.format(port=port, metadata=metadata.host, ca_cert=ca_cert, audience=_AUDIENCE), flush=True)
        signal.pause()


def main(words: Sequence[str]) -> int:
    """Run it; return 1 if something did not start."""
    arguments = _arguments(words)
    stopping.raise_when_told_to_stop()
    try:
        with tempfile.TemporaryDirectory(prefix="cloud-run-") as folder:
            _serve(arguments, Path(folder))
    except stopping.Stopped:
        return 0
    except (EnvoyError, instances.InstanceError) as error:
        print(f"local: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
