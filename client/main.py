"""//client: the command line of the client."""

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

# Ctrl+C ends the program without a traceback, even during the imports.
signal.signal(signal.SIGINT, signal.SIG_DFL)

# `bazel run` starts programs in another folder than the one in which it was typed, to which file names are relative.
os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY", "."))

# Silence gRPC core's native log: the status of a call has the same information.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# google-auth's warnings are for developers, not for users of the command line.
warnings.filterwarnings("ignore", module="google.auth")

import click  # noqa: E402

from client.access import AUTHS, AUTO, HEADERS, Access  # noqa: E402
from client.channel import DEFAULT_TARGET  # noqa: E402
from client.cli import calculator, introspection, route_guide, tutorial  # noqa: E402
from client.cli.commands import Caller, File, Range, Target  # noqa: E402

_DEFAULT_TIMEOUT_SECONDS = 5.0
_LONGEST_TIMEOUT_SECONDS = 24 * 3600


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--target",
    type=Target(),
    metavar="HOST[:PORT]",
    default=DEFAULT_TARGET,
    help="Address of the server. PORT defaults to 443, which uses TLS; other ports use plaintext.",
)
@click.option("--tls", is_flag=True, help="Use TLS on other ports too.")
@click.option(
    "--ca-cert",
    type=File(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Use TLS, and verify the server with the CA certificates in this PEM file instead of the system's.",
)
@click.option(
    "--auth",
    type=click.Choice(AUTHS),
    default=AUTO,
    help="Whether to send an identity token; auto sends one to Cloud Run if credentials are available.",
)
@click.option("--audience", metavar="URL", default="", show_default="https://HOST", help="Audience of the tokens.")
@click.option(
    "--impersonate-service-account",
    "impersonate",
    metavar="EMAIL",
    default="",
    show_default="your own",
    help="Service account whose tokens to send.",
)
@click.option(
    "--token-header",
    "headers",
    type=click.Choice(HEADERS),
    multiple=True,
    default=HEADERS[:1],
    help="Header that carries the token. Pass both if the service behind Cloud Run's IAM verifies tokens too.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Range(min=0, max=_LONGEST_TIMEOUT_SECONDS, min_open=True),
    default=_DEFAULT_TIMEOUT_SECONDS,
    help="Timeout of a call.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each answer as one line of JSON.")
@click.pass_context
def cli(context: click.Context, /, target: str, timeout: float, *, as_json: bool, **access: Any) -> None:  # noqa: ANN401 - by click
    """Call a calculator over gRPC.

    \b
    Examples:
      ./bazelw run //client -- add 2 3
      ./bazelw run //client -- eval '2*(3+4)^2'
      ./bazelw run //client -- --target localhost:8080 calc 7 / -2
      ./bazelw run //client -- --target my-service-abc.a.run.app add 2 3
    """  # noqa: D301 - click reads the backspace: keep these lines as they are
    context.obj = Caller(target, Access(**access), timeout, as_json)


for command in (
    tutorial.add,
    tutorial.subtract,
    calculator.calc,
    calculator.evaluate,
    calculator.aggregate,
    calculator.converse,
    route_guide.route_guide,
    introspection.health,
    introspection.list_services,
):
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line; report an error on standard output, such as a full disk, in one line."""
    try:
        status = _run()
        sys.stdout.flush()
    except OSError as error:
        print(f"Error: cannot write the answer: {error.strerror}", file=sys.stderr)
        status = 1
    # Not sys.exit: after a failed call, a thread may still read standard input, whose lock the interpreter needs.
    os._exit(status)


def _run() -> int:
    """Run the command line, and return the exit status."""
    try:
        cli(prog_name="client")
    except SystemExit as ended:  # click exits with a number
        return int(ended.code or 0)
    return 0


if __name__ == "__main__":
    main()
