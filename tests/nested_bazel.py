"""A Bazel that a test runs inside Bazel's sandbox."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import programs

_TOOLBOX = Path("/usr/share/bazel/toolbox.bazelrc")


class NestedBazel:
    """A Bazel with a server and an output base of its own.

    Args:
        workspace: the folder with the WORKSPACE.
        output: the folder for all that this Bazel writes.
    """

    def __init__(self, workspace: Path, output: Path) -> None:
        """Start nothing yet."""
        self._workspace = workspace
        self._output = output

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command; return status, stdout and stderr. Only the timeout of the test limits how long it takes.

        Args:
            arguments: the command, such as `build`, and its arguments.
            environment: variables for it, in addition to those of the test.
        """
        bazel = shutil.which("bazel") or shutil.which("bazelisk")
        assert bazel, f"no bazel on a test's PATH, {os.environ['PATH']}; BAZELW=toolbox ./bazelw test has one"
        startup = [f"--output_user_root={self._output}/user", f"--output_base={self._output}"]
        if _TOOLBOX.exists():
            startup.insert(0, f"--bazelrc={_TOOLBOX}")
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as output,
            tempfile.TemporaryFile("w+", encoding="utf-8") as error,
            programs.started(
                [bazel, *startup, *arguments],
                cwd=self._workspace,
                env=os.environ | {"HOME": str(Path.home())} | environment,
                stdout=output,
                stderr=error,
            ) as process,
        ):
            status = process.wait()
            output.seek(0)
            error.seek(0)
            return subprocess.CompletedProcess(arguments, status, output.read(), error.read())


@contextmanager
def opened(workspace: Path, output: Path) -> Iterator[NestedBazel]:
    """Give a Bazel for a workspace, and shut its server down in the end."""
    bazel = NestedBazel(workspace, output)
    try:
        yield bazel
    finally:
        bazel.run("shutdown")
