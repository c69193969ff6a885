"""A Bazel that a test runs inside Bazel's sandbox."""

import os
import shutil
import subprocess
from pathlib import Path

_TOOLBOX = Path("/usr/share/bazel/toolbox.bazelrc")


def run(workspace: Path, output: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Bazel without a server that stays; return status, stdout and stderr.

    Args:
        workspace: the folder with the WORKSPACE.
        output: the folder for all that this Bazel writes; later runs find there what earlier ones built.
        arguments: the command, such as `build`, and its arguments.
        environment: variables for it, in addition to those of the test.
    """
    bazel = shutil.which("bazel") or shutil.which("bazelisk")
    assert bazel, f"no bazel on a test's PATH, {os.environ['PATH']}; BAZELW=toolbox ./bazelw test has one"
    return subprocess.run(
        [
            bazel,
            *([f"--bazelrc={_TOOLBOX}"] if _TOOLBOX.exists() else []),
            *("--batch", f"--output_user_root={output}/user", f"--output_base={output}"),
            *arguments,
        ],
        cwd=workspace,
        env=os.environ | {"HOME": str(Path.home())} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
