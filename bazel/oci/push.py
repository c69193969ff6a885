"""Pushes an image to a registry, by crane (https://github.com/google/go-containerregistry)."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bazel.oci import referrer
from bazel.oci.layout import Layout

# Registries that gcloud has the credentials for.
_GOOGLE = re.compile(r"(.*\.)?(gcr\.io|pkg\.dev)")
_GCLOUD = "gcloud"

# A host has a dot or a port, or is localhost: a name without one would be Docker Hub's. The rest is as in
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests.
_HOST = r"localhost|[\w-]+(\.[\w-]+)+|[\w-]+(\.[\w-]+)*:[0-9]{1,5}|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_INTERRUPTED = 128 + signal.SIGINT
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_REFERENCE = re.compile(rf"(?P<repository>({_HOST})(/{_PART})+)(:(?P<tag>[^/:@]*))?", re.ASCII)


class ConfigError(ValueError):
    """Docker's configuration cannot be read."""


def parse(reference: str, tags: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return a reference's repository, and its tag if it has one, with more of them.

    Args:
        reference: HOST/NAME or HOST/NAME:TAG.
        tags: more tags.

    Raises:
        ValueError: it has a digest, or no repository, or a tag is none; the message says what is accepted.
    """
    found = _REFERENCE.fullmatch(reference)
    if not found:
        raise ValueError(
            f"{reference!r} is no place to push to: accepted is HOST/NAME[:TAG], in small letters, such as"
            " europe-west1-docker.pkg.dev/PROJECT/REPOSITORY/calculator:v1 with PROJECT and REPOSITORY filled in"
        )
    all_tags = [*([] if found["tag"] is None else [found["tag"]]), *tags]
    for tag in all_tags:
        if not _TAG.fullmatch(tag):
            raise ValueError(f"{tag!r} is no tag: accepted are up to 128 of letters, digits, '_', '.' and '-'")
    return found["repository"], list(dict.fromkeys(all_tags))


def environment_for(registry: str, folder: Path) -> dict[str, str]:
    """Return the environment in which crane finds the credentials for a registry, where there are any.

    That is our own, with Docker's configuration. For a registry of Google's that this has nothing for, it is one that
    asks gcloud, if that is installed.

    Args:
        registry: the registry's host.
        folder: where another configuration may lie; empty, and there for as long as the environment is used.

    Raises:
        ConfigError: Docker's configuration cannot be read.
    """
    if not _GOOGLE.fullmatch(registry) or not shutil.which(f"docker-credential-{_GCLOUD}"):
        return dict(os.environ)
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        known = [*(config.get("auths") or {}), *(config.get("credHelpers") or {})]
        # crane takes an entry for a host whether it is written as a URL or with a path, or not.
        hosts = {re.sub("^https?://", "", entry).partition("/")[0] for entry in known}
        if registry in hosts or config.get("credsStore"):
            return dict(os.environ)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    # Nothing of the configuration is copied: this registry is all that crane asks for, and the rest is secret.
    (folder / "config.json").write_text(json.dumps({"credHelpers": {registry: _GCLOUD}}), encoding="utf-8")
    return dict(os.environ) | {"DOCKER_CONFIG": str(folder)}


def push(crane: Path, image: Path, repository: str, tags: list[str], referrers: Sequence[Path]) -> list[str]:
    """Push an image and what refers to it, and return the references by which it can be pulled.

    What the registry has is not sent again. The tags come last: who pulls by one finds everything there.

    Args:
        crane: the program.
        image: its OCI layout.
        repository: where to, without a tag.
        tags: what to call it there.
        referrers: files that are to be found beside it.

    Raises:
        ConfigError: Docker's configuration cannot be read.
        ValueError: a referrer is of no known kind.
        subprocess.CalledProcessError: crane failed; it has said why on standard error.
    """
    reference = Layout(image).reference()
    digest = reference["digest"]
    with tempfile.TemporaryDirectory() as folder:
        artifacts = [Path(folder, str(number)) for number, _ in enumerate(referrers)]
        layouts = {image: digest} | {
            artifact: referrer.write(artifact, reference, file).reference()["digest"]
            for artifact, file in zip(artifacts, referrers, strict=True)
        }
        environment = environment_for(repository.partition("/")[0], Path(folder))

        def send(layout: Path, name: str) -> None:
            subprocess.run([crane, "push", layout, name], env=environment, stdout=subprocess.DEVNULL, check=True)

        for layout, name in layouts.items():
            send(layout, f"{repository}@{name}")
        for tag in tags:
            send(image, f"{repository}:{tag}")
    return [f"{repository}:{tag}@{digest}" for tag in tags] or [f"{repository}@{digest}"]


def _parser(repository: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="push",
        description="Push the image, and print HOST/NAME:TAG@DIGEST. Credentials are Docker's, or gcloud's.",
    )
    where = parser.add_mutually_exclusive_group(required=not repository)
    where.add_argument("reference", nargs="?", help="HOST/NAME[:TAG]; without a tag only the digest names it")
    where.add_argument("--repository", default=repository, help="HOST/NAME, instead of a reference")
    parser.add_argument("--tag", action="append", default=[], help="one more tag")
    return parser


def main(crane: Path, image: Path, repository: str, remote_tags: list[str], referrers: Sequence[Path] = ()) -> int:
    """Push one image, and print by which references it can be pulled.

    Args:
        crane: the program.
        image: its OCI layout.
        repository: where to, unless the command line says; may be empty.
        remote_tags: what to call it there, unless the command line says.
        referrers: files that are to be found beside it.

    Returns:
        0; 1 if it could not be pushed; 2 if it is not known where to; 130 on Ctrl+C.
    """
    parser = _parser(repository)
    arguments = parser.parse_args()
    try:
        name, tags = parse(arguments.reference or arguments.repository, arguments.tag)
    except ValueError as error:
        parser.error(str(error))
    try:
        pushed = push(crane, image, name, tags or remote_tags, referrers)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (ConfigError, subprocess.CalledProcessError) as error:
        why = f"{error}" if isinstance(error, ConfigError) else "crane says above why not"
        registry = name.partition("/")[0]
        print(
            f"push: {name} has not got all of it: {why}. Credentials come by docker login {registry}, or, for Google's"
            " Artifact Registry, by gcloud auth login",
            file=sys.stderr,
        )
        return 1
    print("\n".join(pushed))
    return 0
