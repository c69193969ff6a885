"""//client: calls the calculator from the command line."""

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

# Ctrl+C ends it without a traceback, during the imports too.
signal.signal(signal.SIGINT, signal.SIG_DFL)

# What the core has to say of a call is in the call's status as well.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# And what google-auth advises programmers of is not for who calls.
warnings.filterwarnings("ignore", module="google.auth")

import click  # noqa: E402

from client.access import AUTHS, AUTO, HEADERS, Access  # noqa: E402
from client.channel import DEFAULT_TARGET  # noqa: E402
from client.cli import calculator, introspection, route_guide, tutorial  # noqa: E402
from client.cli.commands import Caller, Range, Target  # noqa: E402

_DEFAULT_TIMEOUT_SECONDS = 5.0
_LONGEST_TIMEOUT_SECONDS = 24 * 3600


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--target",
    type=Target(),
    metavar="HOST[:PORT]",
    default=DEFAULT_TARGET,
    help="The server to call: by TLS at port 443, which is also that of a HOST alone, else in plaintext.",
)
@click.option("--tls", is_flag=True, help="Speak TLS at other ports, too.")
@click.option(
    "--ca-cert",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Speak TLS with a server for which a certificate in this file vouches, in PEM, not the system's roots.",
)
@click.option(
    "--auth",
    type=click.Choice(AUTHS),
    default=AUTO,
    help="Whether to send an identity token; auto does to Cloud Run, if there are credentials.",
)
@click.option("--audience", metavar="URL", default="", show_default="https://HOST", help="Whom tokens are for.")
@click.option(
    "--impersonate-service-account",
    "impersonate",
    metavar="EMAIL",
    default="",
    show_default="your own",
    help="Whose tokens to send.",
)
@click.option(
    "--token-header",
    "headers",
    type=click.Choice(HEADERS),
    multiple=True,
    default=HEADERS[:1],
    help="What they are sent as; both, for a service behind Cloud Run's IAM that checks them as well.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Range(min=0, max=_LONGEST_TIMEOUT_SECONDS, min_open=True),
    default=_DEFAULT_TIMEOUT_SECONDS,
    help="How long to wait for an answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print answers as JSON, one a line.")
@click.pass_context
def cli(context: click.Context, /, target: str, timeout: float, *, as_json: bool, **access: Any) -> None:  # noqa: ANN401 - by click
    """Call a calculator by gRPC.

    \b
    For example:
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
    """Run the command line; what cannot be written to standard output is one line, too."""
    try:
        try:
            cli(prog_name="client")
        finally:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes it once more
        sys.exit(f"Error: cannot write the answer: {error.strerror}")
    sys.exit(0)


if __name__ == "__main__":
    main()
