"""The image as a container, run by bubblewrap: its own files, read-only, its own user, its own processes."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any


def _blob(layout: Path, reference: dict[str, Any]) -> bytes:
    return Path(layout, "blobs", str(reference["digest"]).replace(":", "/")).read_bytes()


class Container:
    """An image that was unpacked.

    Args:
        layout: the image.
        folder: an empty folder to unpack it in.
    """

    def __init__(self, layout: Path, folder: Path) -> None:
        """Unpack it."""
        [index] = json.loads((layout / "index.json").read_bytes())["manifests"]
        manifest = json.loads(_blob(layout, index))
        self._config = json.loads(_blob(layout, manifest["config"]))["config"]
        self._root = folder
        for reference in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(_blob(layout, reference)))) as archive:
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
