"""The server in a container image, run for tests."""

from contextlib import AbstractContextManager

from bazel.oci.container import Container
from testing import programs


def serving(container: Container, *flags: str, **environment: str) -> AbstractContextManager[programs.Server]:
    """Run the entry point of a container until the block ends.

    Args:
        container: the container.
        flags: flags to add to the command.
        environment: variables to add to those of the image.
    """
    return programs.serving_by(*container.command({"PORT": "0", **environment}), *flags)
