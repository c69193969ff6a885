"""Load an image into the container engine of this machine, Docker or podman."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bazel.oci import archive
from bazel.oci.layout import Layout

_ENGINES = ("docker", "podman")
_TIMEOUT_SECONDS = 10


class NoEngineError(Exception):
    """No container engine answers."""


def _reason_unusable(engine: str) -> str | None:
    """Return the reason why an engine cannot be used, or None if it can."""
    if not shutil.which(engine):
        return "not on PATH"
    try:
        # "docker load" would read the whole image before it reports that there is no daemon.
        asked = subprocess.run([engine, "version"], capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f'"{engine} version" did not answer within {_TIMEOUT_SECONDS} s'
    except OSError as error:
        return str(error)
    said = asked.stderr.decode(errors="replace").strip()
    return None if asked.returncode == 0 else said or f"exit status {asked.returncode}"


def choose(engines: tuple[str, ...]) -> str:
    """Return the first engine that answers.

    Raises:
        NoEngineError: no engine answers; the message has the reason for each.
    """
    reasons = []
    for engine in engines:
        reason = _reason_unusable(engine)
        if reason is None:
            return engine
        reasons.append(f"{engine}: {reason}")
    hint = "start one, or push the image to a registry, which does not need an engine"
    raise NoEngineError("\n  ".join(["no container engine answers:", *reasons]) + f"\n{hint}")


def main(image: Path, repo_tags: list[str]) -> int:
    """Load one image, and print the output of the engine.

    Args:
        image: the OCI layout of the image.
        repo_tags: names of the image in the engine.

    Returns:
        The exit status of the engine, or 1 if no engine answers or a signal killed the engine.
    """
    parser = argparse.ArgumentParser(
        prog="load", description=f"Load the image into a container engine, as {', '.join(repo_tags)}."
    )
    parser.add_argument("--engine", choices=_ENGINES, help="the container engine (default: the first that answers)")
    arguments = parser.parse_args()
    try:
        engine = choose((arguments.engine,) if arguments.engine else _ENGINES)
    except NoEngineError as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryFile() as file:
        archive.write(Layout(image), repo_tags, file)
        file.seek(0)
        status = subprocess.run([engine, "load"], stdin=file, check=False).returncode
    if status:
        print(f"load: {engine} failed: exit status {status}", file=sys.stderr)
    return 1 if status < 0 else status  # a negative status is a signal
