"""Bazel run by a test, inside the sandbox of the outer Bazel."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing import programs, timeouts

_TOOLBOX = Path("/usr/share/bazel/toolbox.bazelrc")


class NestedBazel:
    """A Bazel with its own server and output base.

    Args:
        workspace: the folder with the WORKSPACE.
        output: the folder for everything that this Bazel writes; it must not exist yet.
    """

    def __init__(self, workspace: Path, output: Path) -> None:
        """Store the folders. The first command starts the Bazel server."""
        self._workspace = workspace
        self._output = output

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may take most of the test's time limit, and return its exit status, stdout and stderr.

        Args:
            arguments: the command, such as `build`, and its arguments.
            environment: variables to add to the environment of the test.

        Raises:
            AssertionError: the command did not end in time. The message contains its output.
        """
        return self._run(timeouts.seconds_left(), *arguments, **environment)

    def shut_down(self) -> None:
        """Shut the Bazel server down, if a command has started one.

        Raises:
            AssertionError: the server did not end in time.
        """
        if self._output.exists():
            self._run(timeouts.SECONDS, "shutdown")

    def _run(self, seconds: float, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        bazel = shutil.which("bazel") or shutil.which("bazelisk")
        assert bazel, f"no bazel on PATH ({os.environ['PATH']}); BAZELW=toolbox ./bazelw test provides one"
        # If the test is killed, its Bazel server ends after a minute instead of Bazel's default of three hours.
        startup = ["--max_idle_secs=60", f"--output_user_root={self._output}/user", f"--output_base={self._output}"]
        if _TOOLBOX.exists():
            startup.insert(0, f"--bazelrc={_TOOLBOX}")
        variables = {"HOME": str(Path.home())} | environment
        return programs.run_within(seconds, [bazel, *startup, *arguments], self._workspace, **variables)


@contextmanager
def opened(workspace: Path, output: Path) -> Iterator[NestedBazel]:
    """Yield a Bazel for a workspace, and shut its server down when the block ends."""
    bazel = NestedBazel(workspace, output)
    try:
        yield bazel
    finally:
        bazel.shut_down()
