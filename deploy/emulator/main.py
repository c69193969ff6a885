"""//deploy:local: an emulator of Cloud Run, with a front end that verifies tokens, instances and a metadata server."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bazel.oci.container import Container
from bazel.oci.layout import Layout
from deploy.emulator import front_end, hosts, instances
from deploy.emulator.instances import Program
from ingress import stopping
from ingress.envoy import EnvoyError
from server.process.sockets import LOOPBACK, HostError, ListenError, ReservedPort
from testing.fakes import certificate_authority
from testing.fakes.certificate_authority import CertificateAuthority
from testing.fakes.id_token_issuer import Issuer
from testing.fakes.metadata_server import MetadataServer

_SERVICE = {"K_SERVICE": "calculator", "K_REVISION": "calculator-00001-dev", "K_CONFIGURATION": "calculator"}
# Except for the host, these flags are the same as in service.yaml.
_SERVER_FLAGS = ("--host=127.0.0.1", "--shutdown-delay=3", "--shutdown-grace=6")
_INGRESS_FLAGS = ("--host=127.0.0.1", "--server-port={port}")

_TRY = """\
Cloud Run on this machine: https://{host}:{port}. Ctrl+C stops it. In another terminal:

  export GCE_METADATA_HOST={metadata}
  ./bazelw run //client -- --target {host}:{port} --ca-cert {ca_cert} --auth identity-token add 2 3

  TOKEN=$(curl -s -H 'Metadata-Flavor: Google' \\
    'http://{metadata}/computeMetadata/v1/instance/service-accounts/default/identity?audience={audience}')
  ./bazelw run //tools/grpcurl -- -cacert {ca_cert} -H "authorization: Bearer $TOKEN" {host}:{port} list
  curl --http1.1 --cacert {ca_cert} -H "authorization: Bearer $TOKEN" -H "content-type: application/json" \\
    -d '{{"operation": "OPERATION_ADD", "first_operand": 2, "second_operand": 3}}' \\
    https://{host}:{port}/calculator.v1.Calculator/Calculate
"""


# Except for the port, these are the limits of Cloud Run: https://cloud.google.com/run/quotas.
_RANGES = {"port": (0, 65535), "instances": (1, 100), "concurrency": (1, 1000), "timeout": (1, 3600)}


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local", description="Run the calculator on this machine as Cloud Run would.")
    parser.add_argument("--port", type=int, default=8443, help="port to listen on, 0 for a free one (default: 8443)")
    hosts.add_flag(parser)
    parser.add_argument("--instances", type=int, default=1, help="number of instances (default: 1)")
    parser.add_argument("--concurrency", type=int, default=80, help="concurrent requests per instance (default: 80)")
    parser.add_argument("--timeout", type=int, default=300, help="request timeout in seconds (default: 300)")
    parser.add_argument("--binary", action="store_true", help="run //server and //ingress instead of the images")
    parser.add_argument("--allow-unauthenticated", action="store_true", help="accept requests without a token")
    parser.add_argument("--http1", action="store_true", help="forward over HTTP/1, as Cloud Run without --use-http2")
    for name in ("bubblewrap", "envoy", "ingress", "ingress-image", "server", "server-image"):
        parser.add_argument(f"--{name}-path", type=Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    for name, (lowest, highest) in _RANGES.items():
        value = getattr(arguments, name)
        if not lowest <= value <= highest:
            parser.error(f"--{name}={value}: must be {lowest} to {highest}")
    return arguments


def _from_binary(name: str, binary: Path, *flags: str) -> Program:
    """Return a program of an instance, which runs outside of its image.

    Args:
        name: "server" or "ingress".
        binary: the executable file.
        flags: its flags, in which "{port}" is replaced with the port of the previous program.
    """
    return Program(name, lambda port: [str(binary.absolute()), *(flag.format(port=port) for flag in flags)])


def _from_image(name: str, image: Path, bubblewrap: Path, folder: Path, *flags: str) -> Program:
    """Return a program of an instance, which runs from its image.

    Args:
        name: "server" or "ingress".
        image: the folder of the image.
        bubblewrap: the executable file of bubblewrap.
        folder: the folder to unpack the image in.
        flags: its flags, in which "{port}" is replaced with the port of the previous program.
    """
    root = folder / name
    root.mkdir()
    container = Container(Layout(image), root, bubblewrap)
    command = container.command({"PORT": "0"} | _SERVICE)
    return Program(name, lambda port: [*command, *(flag.format(port=port) for flag in flags)], container.process)


def _serve(settings: front_end.FrontEndSettings, ports: list[int], issuer: Issuer, envoy: Path, folder: Path) -> None:
    """Serve the instances until a signal.

    Args:
        settings: the settings of the front end.
        ports: the ports of the instances.
        issuer: the issuer of tokens.
        envoy: the path of Envoy.
        folder: a folder for the files of Envoy.
    """
    authority = CertificateAuthority((*certificate_authority.NAMES, *settings.hosts))
    with (
        MetadataServer(issuer) as metadata,
        front_end.serving(envoy.absolute(), settings, ports, authority, folder) as running,
    ):
        port, ca_cert = running.port(), folder / "ca.crt"
        host, audience = hosts.url_host(settings.hosts), settings.audiences[0]
        print(_TRY.format(host=host, port=port, metadata=metadata.host, ca_cert=ca_cert, audience=audience), flush=True)
        signal.pause()


def main(words: Sequence[str]) -> int:
    """Run the emulator until a signal; return 1 if a part of it did not start, 2 if a host is not of this machine."""
    arguments = _arguments(words)
    served_hosts, issuer = arguments.hosts or LOOPBACK, Issuer()
    settings = front_end.FrontEndSettings(
        audiences=(f"https://{hosts.url_host(served_hosts)}",),
        concurrency=arguments.concurrency,
        hosts=tuple(served_hosts),
        is_http1=arguments.http1,
        is_public=arguments.allow_unauthenticated,
        keys=issuer.keys(),
        port=arguments.port,
        timeout=arguments.timeout,
    )
    stopping.raise_when_told_to_stop()
    try:
        ReservedPort(settings.hosts, settings.port).close()  # fail before the instances start
        with tempfile.TemporaryDirectory(prefix="cloud-run-") as name:
            folder = Path(name)
            if arguments.binary:
                programs = [
                    _from_binary("server", arguments.server_path, *_SERVER_FLAGS),
                    _from_binary("ingress", arguments.ingress_path, *_INGRESS_FLAGS),
                ]
            else:
                bubblewrap = arguments.bubblewrap_path
                programs = [
                    _from_image("server", arguments.server_image_path, bubblewrap, folder, *_SERVER_FLAGS),
                    _from_image("ingress", arguments.ingress_image_path, bubblewrap, folder, *_INGRESS_FLAGS),
                ]
            with instances.serving(programs, os.environ | _SERVICE, arguments.instances) as ports:
                _serve(settings, ports, issuer, arguments.envoy_path, folder)
    except stopping.Stopped:
        return 0
    except (EnvoyError, HostError, ListenError, instances.InstanceError) as error:
        print(f"local: {error}", file=sys.stderr)
        return 2 if isinstance(error, HostError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
