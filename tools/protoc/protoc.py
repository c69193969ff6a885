"""protoc: a command-line program that runs the compiler in grpcio-tools.

It refuses to generate Python stubs whose package collides with another one: such a program would fail when it starts.
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence

from grpc_tools import protoc

OWN_PACKAGES = frozenset(
    {"bazel", "benchmarks", "client", "deploy", "ingress", "nggrpc", "server", "testing", "tests", "tools"}
)
"""The folders of this repository that contain Python modules."""


def _collision(package: str) -> str:
    """Return what a top-level package collides with, or an empty string."""
    if package in OWN_PACKAGES:
        return f"the folder {package}/ of this repository"
    if package in sys.stdlib_module_names:
        return f"the module {package} of Python's standard library"
    spec = importlib.util.find_spec(package)
    # A namespace package, such as google, has no origin, and may have several parts.
    return f"the installed package {package}" if spec and spec.origin else ""


def collisions(protos: Sequence[str]) -> Iterator[str]:
    """Yield a message for each proto whose Python package collides with another one.

    Args:
        protos: the paths by which protos import each other, such as calculator/v1/calculator.proto.
    """
    for proto in protos:
        package, slash, _ = proto.partition("/")
        if slash and (other := _collision(package)):
            advice = "move it to a folder with another name"
            yield f"{proto}: its Python package {package!r} collides with {other}; {advice}"


if __name__ == "__main__":
    if any(argument.startswith("--python_out") for argument in sys.argv):
        for message in collisions([argument for argument in sys.argv[1:] if argument.endswith(".proto")]):
            sys.exit(message)
    sys.exit(protoc.main(sys.argv))
