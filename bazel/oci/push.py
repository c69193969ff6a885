"""Push an image to a registry with crane (https://github.com/google/go-containerregistry)."""

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
from dataclasses import dataclass
from pathlib import Path

from bazel.oci import referrer, sign
from bazel.oci.cosign import Cosign, CosignError
from bazel.oci.layout import Layout

# Registries for which gcloud has credentials.
_GOOGLE = re.compile(r"(.*\.)?(gcr\.io|pkg\.dev)")
_GCLOUD = "gcloud"

# The host is required: it has a dot or a port, or is localhost. (Without one, Docker would assume Docker Hub.) The
# syntax of the rest is specified in
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests.
_HOST = r"localhost|[\w-]+(\.[\w-]+)+|[\w-]+(\.[\w-]+)*:[0-9]{1,5}|\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_INTERRUPTED = 128 + signal.SIGINT
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_REFERENCE = re.compile(rf"(?P<repository>({_HOST})(/{_PART})+)(:(?P<tag>[^/:@]*))?", re.ASCII)


class ConfigError(ValueError):
    """Docker's configuration cannot be read."""


@dataclass(frozen=True)
class Artifact:
    """An image, and what is pushed with it.

    Attributes:
        image: the OCI layout of the image.
        referrers: files to push as artifacts that refer to the image.
        signer: what to sign the image with; None to push it without a signature.
    """

    image: Path
    referrers: Sequence[Path]
    signer: sign.Signer | None = None


@dataclass(frozen=True)
class Target:
    """A target of the rule oci_push.

    Attributes:
        crane: the path of the program crane.
        cosign: the path of the program cosign.
        kms: the path of cosign's plugin for Google's Cloud KMS.
        image: the OCI layout of the image.
        provenance: the provenance of the image, which is attested with --sign.
        repository: the repository to push to, unless the command line has one; may be empty.
        remote_tags: the tags, unless the command line has tags.
        referrers: files to push as artifacts that refer to the image, and to attest with --sign.
    """

    crane: Path
    cosign: Path
    kms: Path
    image: Path
    provenance: Path
    repository: str
    remote_tags: list[str]
    referrers: Sequence[Path] = ()


def parse(reference: str, tags: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return the repository of a reference, and the list of all tags: its own, if any, then the additional ones.

    Args:
        reference: HOST/NAME or HOST/NAME:TAG.
        tags: additional tags.

    Raises:
        ValueError: the reference has a digest or no repository, or a tag is invalid; the message says what is accepted.
    """
    found = _REFERENCE.fullmatch(reference)
    if not found:
        domain = re.search(r"/([^/:]+):([^/:]+)/", reference)
        hint = f"; write the project {domain[1]}:{domain[2]} as {domain[1]}/{domain[2]}" if domain else ""
        raise ValueError(
            f"{reference!r} is not a valid reference: must be HOST/NAME[:TAG] in lower case, such as"
            f" europe-west1-docker.pkg.dev/PROJECT/REPOSITORY/calculator:v1 with your PROJECT and REPOSITORY{hint}"
        )
    all_tags = [*([] if found["tag"] is None else [found["tag"]]), *tags]
    for tag in all_tags:
        if not _TAG.fullmatch(tag):
            raise ValueError(
                f"{tag!r} is not a valid tag: must be 1-128 letters, digits, '_', '.' and '-',"
                " and must not start with '.' or '-'"
            )
    return found["repository"], list(dict.fromkeys(all_tags))


def environment_for(registry: str, folder: Path) -> dict[str, str]:
    """Return the environment variables with which crane finds the credentials for a registry.

    Usually these are the current variables, so that crane reads Docker's configuration. If that has no credentials for
    one of Google's registries, and gcloud is installed, the variables point to a new configuration that uses gcloud.

    Args:
        registry: the registry's host.
        folder: an empty folder for the new configuration. It must exist as long as the variables are used.

    Raises:
        ConfigError: Docker's configuration cannot be read.
    """
    if not _GOOGLE.fullmatch(registry) or not shutil.which(f"docker-credential-{_GCLOUD}"):
        return dict(os.environ)
    file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        known = [*(config.get("auths") or {}), *(config.get("credHelpers") or {})]
        # crane also accepts entries that are a URL, or that have a path after the host.
        hosts = {re.sub("^https?://", "", entry).partition("/")[0] for entry in known}
        if registry in hosts or config.get("credsStore"):
            return dict(os.environ)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    # Do not copy other entries: crane needs only this registry, and the other credentials are secret.
    (folder / "config.json").write_text(json.dumps({"credHelpers": {registry: _GCLOUD}}), encoding="utf-8")
    return dict(os.environ) | {"DOCKER_CONFIG": str(folder)}


def push(crane: Path, artifact: Artifact, repository: str, tags: list[str]) -> list[str]:
    """Push an image and its referrers, sign it, and return the references by which the image can be pulled.

    Blobs that the registry already has are not sent again. Tags are pushed last, so that the image, its referrers and
    its signature are complete when a tag appears.

    Args:
        crane: the path of the program crane.
        artifact: the image, its referrers, and what to sign it with.
        repository: the repository to push to, as HOST/NAME.
        tags: the tags of the image in the repository.

    Raises:
        ConfigError: Docker's configuration cannot be read.
        CosignError: cosign failed; it has printed the reason on standard error.
        ValueError: the type of a referrer is unknown.
        subprocess.CalledProcessError: crane failed; it has printed the reason on standard error.
    """
    image, reference = artifact.image, Layout(artifact.image).reference()
    digest = reference["digest"]
    with tempfile.TemporaryDirectory() as folder:
        layouts = {image: digest}
        for number, file in enumerate(artifact.referrers):
            layout = Path(folder, str(number))
            layouts[layout] = referrer.write(layout, reference, file).reference()["digest"]
        environment = environment_for(repository.partition("/")[0], Path(folder))

        def send(layout: Path, name: str) -> None:
            subprocess.run([crane, "push", layout, name], env=environment, stdout=subprocess.DEVNULL, check=True)

        for layout, name in layouts.items():
            send(layout, f"{repository}@{name}")
        if artifact.signer:
            artifact.signer.sign(f"{repository}@{digest}", environment)
        for tag in tags:
            send(image, f"{repository}:{tag}")
    return [f"{repository}:{tag}@{digest}" for tag in tags] or [f"{repository}@{digest}"]


def _parser(repository: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="push",
        description="Push the image, and print HOST/NAME:TAG@DIGEST. Uses the credentials of Docker or gcloud.",
    )
    where = parser.add_mutually_exclusive_group(required=not repository)
    where.add_argument(
        "reference",
        nargs="?",
        help="HOST/NAME[:TAG]; without a tag (and without remote_tags of the rule),"
        " the image can be pulled only by digest",
    )
    where.add_argument("--repository", default=repository, help="HOST/NAME, instead of a reference")
    parser.add_argument("--tag", action="append", default=[], help="an additional tag; can be repeated")
    sign.add_flags(parser)
    return parser


def main(target: Target) -> int:
    """Push one image, sign it with --sign, and print the references by which it can be pulled.

    Returns:
        0 if the image was pushed, 1 if the push or the signature failed, 130 on Ctrl+C. Invalid arguments exit with 2.
    """
    parser = _parser(target.repository)
    arguments = parser.parse_args(sign.words(sys.argv[1:]))
    sign.check(parser, arguments)
    try:
        name, tags = parse(arguments.reference or arguments.repository, arguments.tag)
    except ValueError as error:
        parser.error(str(error))
    try:
        cosign = Cosign(target.cosign, target.kms)
        signer = sign.signer(arguments, cosign, target.referrers, target.provenance)
        artifact = Artifact(target.image, target.referrers, signer)
        pushed = push(target.crane, artifact, name, tags or target.remote_tags)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except sign.UnstampedError as error:
        print(f"push: {error}", file=sys.stderr)
        return 1
    except CosignError as error:
        what = f"{name} has the image, but without a complete signature, and the tags are not set"
        print(f"push: {what}: {error}", file=sys.stderr)
        return 1
    except (ConfigError, subprocess.CalledProcessError) as error:
        why = f"{error}" if isinstance(error, ConfigError) else "see crane's error above"
        registry = name.partition("/")[0]
        print(
            f"push: the push to {name} is incomplete: {why}. To log in: docker login {registry} or, for Google's"
            " Artifact Registry, gcloud auth login",
            file=sys.stderr,
        )
        return 1
    print("\n".join(pushed))
    return 0
