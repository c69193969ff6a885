"""The server of an image, for tests."""

from contextlib import AbstractContextManager

from bazel.oci.container import Container
from testing import programs


def serving(container: Container, *flags: str, **environment: str) -> AbstractContextManager[programs.Server]:
    """Run the entry point of a container, with flags and with more environment than its own, until the block ends."""
    return programs.serving_by(*container.command({"PORT": "0", **environment}), *flags)
