"""The image as a container, run by bubblewrap: its own files, read-only, its own user, its own processes."""

import io
import os
import tarfile
from pathlib import Path

from bazel.oci.layout import Layout


class Container:
    """An image that was unpacked.

    Args:
        layout: the image.
        folder: an empty folder to unpack it in.
    """

    def __init__(self, layout: Layout, folder: Path) -> None:
        """Unpack it."""
        self._config = layout.config()["config"]
        self._root = folder
        for layer in layout.layers():
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                archive.extractall(folder, filter="tar")

    def command(self, *arguments: str, entrypoint: list[str] | None = None, **environment: str) -> list[str]:
        """Return the command that runs it as the platform does, with more environment than its own."""
        user, _, group = self._config["User"].partition(":")
        variables = dict(pair.split("=", 1) for pair in self._config["Env"]) | environment
        return [
            str(Path(os.environ["BWRAP"]).absolute()),
            *("--ro-bind", str(self._root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
            *("--unshare-user", "--uid", user, "--gid", group, "--unshare-pid", "--as-pid-1"),
            *("--die-with-parent", "--clearenv"),
            *(word for key, value in variables.items() for word in ("--setenv", key, value)),
            *("--chdir", self._config["WorkingDir"], "--"),
            *(entrypoint or self._config["Entrypoint"]),
            *arguments,
        ]
