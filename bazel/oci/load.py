"""Loads an image into the container engine of this machine: Docker, or podman."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bazel.oci import archive
from bazel.oci.layout import Layout

_ENGINES = ("docker", "podman")
_PATIENCE_SECONDS = 10


class NoEngineError(Exception):
    """No container engine answers."""


def _why_not(engine: str) -> str | None:
    """Return why an engine cannot be used, or None if it can."""
    if not shutil.which(engine):
        return "not on PATH"
    try:
        # "docker load" would read all of the image before it says that there is no daemon.
        asked = subprocess.run([engine, "version"], capture_output=True, timeout=_PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f'"{engine} version" says nothing within {_PATIENCE_SECONDS} s'
    except OSError as error:
        return str(error)
    said = asked.stderr.decode(errors="replace").strip()
    return None if asked.returncode == 0 else said or f"status {asked.returncode}"


def choose(engines: tuple[str, ...]) -> str:
    """Return the first engine that answers.

    Raises:
        NoEngineError: none does; it says why, for each.
    """
    reasons = []
    for engine in engines:
        reason = _why_not(engine)
        if reason is None:
            return engine
        reasons.append(f"{engine}: {reason}")
    hint = "start one; or push the image to a registry, which needs none"
    raise NoEngineError("\n  ".join(["no container engine answers:", *reasons]) + f"\n{hint}")


def main(image: Path, repo_tags: list[str]) -> int:
    """Load one image, and print what the engine says.

    Args:
        image: its OCI layout.
        repo_tags: what the engine is to call it.

    Returns:
        0; 1 if no engine answers, or it was killed; else the status that the engine ends with.
    """
    parser = argparse.ArgumentParser(
        prog="load", description=f"Load the image into an engine, as {', '.join(repo_tags)}."
    )
    parser.add_argument("--engine", choices=_ENGINES, help="the one to use (default: the first of them that answers)")
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
        print(f"load: {engine} has not loaded it: status {status}", file=sys.stderr)
    return 1 if status < 0 else status  # below 0 it is a signal
