"""Pushes an image to a registry, by crane (https://github.com/google/go-containerregistry)."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bazel.oci import referrer
from bazel.oci.layout import Json, Layout

# Registries that gcloud has the credentials for.
_GOOGLE = re.compile(r"(.*\.)?(gcr\.io|pkg\.dev)")
_GCLOUD = "gcloud"
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)


def parse(reference: str, tags: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return a reference's repository, and its tag if it has one, with more of them.

    Raises:
        ValueError: it has a digest, or no repository, or a tag is none; the message says what is accepted.
    """
    accepted = "accepted is HOST/NAME[:TAG], such as europe-west1-docker.pkg.dev/PROJECT/REPOSITORY/calculator:v1"
    folder, slash, rest = reference.rpartition("/")
    name, colon, tag = rest.partition(":")
    if "@" in rest or not folder or not name:
        raise ValueError(f"{reference!r} is no place to push to: {accepted}")
    all_tags = [tag, *tags] if colon else list(tags)
    for each in all_tags:
        if not _TAG.fullmatch(each):
            raise ValueError(f"{each!r} is no tag: accepted are up to 128 of letters, digits, '_', '.' and '-'")
    return folder + slash + name, all_tags


def with_gcloud(config: Json, registry: str) -> Json | None:
    """Return Docker's configuration with gcloud as the source of a registry's credentials.

    None if it stays as it is: the registry is not Google's, it has credentials already, or there is no gcloud.
    """
    known = {**config.get("auths", {}), **config.get("credHelpers", {})}
    if not _GOOGLE.fullmatch(registry) or registry in known or not shutil.which(f"docker-credential-{_GCLOUD}"):
        return None
    return config | {"credHelpers": config.get("credHelpers", {}) | {registry: _GCLOUD}}


def _environment(registry: str, folder: Path) -> dict[str, str]:
    """Return crane's environment, with Docker's configuration; where that has to be another, it lies in the folder."""
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    config = with_gcloud(json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}, registry)
    if config is None:
        return dict(os.environ)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
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
        subprocess.CalledProcessError: crane failed; it has said why on standard error.
    """
    reference = Layout(image).reference()
    digest = reference["digest"]
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment(repository.partition("/")[0], Path(folder))

        def send(layout: Path, name: str) -> None:
            subprocess.run([crane, "push", layout, name], env=environment, stdout=subprocess.DEVNULL, check=True)

        send(image, f"{repository}@{digest}")
        for number, file in enumerate(referrers):
            artifact = Path(folder, str(number))
            name = referrer.write(artifact, reference, file).reference()["digest"]
            send(artifact, f"{repository}@{name}")
        for tag in tags:
            send(image, f"{repository}:{tag}")
    return [f"{repository}:{tag}@{digest}" for tag in tags] or [f"{repository}@{digest}"]


def _parser(repository: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="push",
        description="Push the image, and print HOST/NAME:TAG@DIGEST. Credentials are Docker's, or gcloud's.",
    )
    parser.add_argument("reference", nargs="?", help="HOST/NAME[:TAG]; without a tag only the digest names it")
    parser.add_argument("--repository", default=repository, help="HOST/NAME, instead of a reference")
    parser.add_argument("--tag", action="append", default=[], help="one more tag")
    return parser


def main(
    crane: Path, image: Path, repositories: list[str], remote_tags: list[str], referrers: Sequence[Path] = ()
) -> int:
    """Push one image, and print by which references it can be pulled.

    Args:
        crane: the program.
        image: its OCI layout.
        repositories: where to, one or none, unless the command line says.
        remote_tags: what to call it there, unless the command line says.
        referrers: files that are to be found beside it.

    Returns:
        0; 1 if it could not be pushed; 2 if it is not known where to.
    """
    parser = _parser("".join(repositories))
    arguments = parser.parse_args()
    try:
        repository, tags = parse(arguments.reference or arguments.repository, arguments.tag)
    except ValueError as error:
        parser.error(str(error))
    try:
        pushed = push(crane, image, repository, tags or remote_tags, referrers)
    except subprocess.CalledProcessError:
        registry = repository.partition("/")[0]
        print(
            f"push: {repository} has not got all of it. If that is for want of credentials: docker login {registry};"
            " for Google's Artifact Registry, gcloud auth login",
            file=sys.stderr,
        )
        return 1
    print("\n".join(pushed))
    return 0
