"""Run an image as a container with bubblewrap: the image's files, read-only, its user, and a PID namespace."""

from collections.abc import Mapping
from pathlib import Path

from bazel.oci.layout import Layout


class Container:
    """A container with the unpacked files of an image.

    Args:
        layout: the image.
        folder: an empty folder, into which the image is unpacked.
        bubblewrap: the path of the program bwrap.
    """

    def __init__(self, layout: Layout, folder: Path, bubblewrap: Path) -> None:
        """Unpack the image."""
        self._bubblewrap = bubblewrap.absolute()
        self._config = layout.config()["config"]
        self._root = folder
        for mount_point in ("dev", "proc", "tmp"):  # container engines make them, too, if an image has none
            (folder / mount_point).mkdir(parents=True)
        for archive in layout.archives():
            archive.extractall(folder, filter="tar")

    def command(self, environment: Mapping[str, str], *program: str) -> list[str]:
        """Return the command that runs the image's entry point as Cloud Run does, or another program in the image.

        Args:
            environment: variables in addition to the image's own.
            program: a program and its arguments, to run instead of the entry point.
        """
        user, _, group = self._config["User"].partition(":")
        variables = dict(pair.split("=", 1) for pair in self._config["Env"]) | dict(environment)
        return [
            str(self._bubblewrap),
            *("--ro-bind", str(self._root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
            *("--unshare-user", "--uid", user, "--gid", group, "--unshare-pid", "--as-pid-1"),
            *("--die-with-parent", "--clearenv"),
            *(word for key, value in variables.items() for word in ("--setenv", key, value)),
            *("--chdir", self._config["WorkingDir"], "--"),
            *(program or self._config["Entrypoint"]),
        ]

    @staticmethod
    def process(bubblewrap: int) -> int:
        """Return the id, outside the container, of the container's first process, to which signals are sent.

        Args:
            bubblewrap: the id of the bwrap process.
        """
        children = Path(f"/proc/{bubblewrap}/task/{bubblewrap}/children").read_text("ascii")
        return int(children.split()[0])
