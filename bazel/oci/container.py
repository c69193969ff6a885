"""The image as a container, run by bubblewrap: its own files, read-only, its own user, its own processes."""

from collections.abc import Mapping
from pathlib import Path

from bazel.oci.layout import Layout


class Container:
    """An image that was unpacked.

    Args:
        layout: the image.
        folder: an empty folder to unpack it in.
        bubblewrap: the program that runs it.
    """

    def __init__(self, layout: Layout, folder: Path, bubblewrap: Path) -> None:
        """Unpack it."""
        self._bubblewrap = bubblewrap.absolute()
        self._config = layout.config()["config"]
        self._root = folder
        for archive in layout.archives():
            archive.extractall(folder, filter="tar")

    def command(self, environment: Mapping[str, str], *program: str) -> list[str]:
        """Return the command that runs it as the platform does: its entry point, or another program in it.

        Args:
            environment: what there is beside its own.
            program: instead of the entry point.
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
        """Return which process the container's first one is outside of it: the one that a signal is for.

        Args:
            bubblewrap: the process that its command began.
        """
        children = Path(f"/proc/{bubblewrap}/task/{bubblewrap}/children").read_text("ascii")
        return int(children.split()[0])
