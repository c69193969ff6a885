"""Sign an image, and attest its bill of materials and its provenance: the flags, and the calls of cosign."""

import argparse
import getpass
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bazel.oci import cosign, provenance
from bazel.oci.cosign import Cosign

_FLAG = "--sign"
_KEYLESS = "keyless"
_VARIABLE = "COSIGN_PASSWORD"


class UnstampedError(Exception):
    """The provenance does not name a commit."""


@dataclass(frozen=True)
class Signer:
    """What an image is signed with.

    Attributes:
        cosign: the program.
        key: the path or the URI of the private key; None for a short-lived certificate of Sigstore.
        uses_log: whether a signature by a key is published in Sigstore's transparency log. One by a certificate always
            is.
        attestations: the files to attest, whose suffixes are those of cosign.TYPES.
    """

    cosign: Cosign
    key: str | None
    uses_log: bool
    attestations: Sequence[Path]

    def sign(self, reference: str, environment: Mapping[str, str]) -> None:
        """Sign an image in a registry, and attest the files.

        Args:
            reference: HOST/NAME@DIGEST.
            environment: the environment variables, with the credentials for the registry.

        Raises:
            CosignError: cosign failed; it has printed the reason on standard error.
        """
        with tempfile.TemporaryDirectory() as folder:
            options = ["--yes"]
            if self.key:
                options += [f"--key={self.key}", *([] if self.uses_log else cosign.signing(Path(folder)))]
                environment = {**environment, **_password(self.key)}
            self.cosign.run("sign", *options, reference, environment=environment)
            for file in self.attestations:
                [type_] = [name for suffix, name in cosign.TYPES.items() if file.name.endswith(suffix)]
                predicate = [f"--type={type_}", f"--predicate={file}"]
                self.cosign.run("attest", *options, *predicate, reference, environment=environment)


def _password(key: str) -> dict[str, str]:
    """Ask once for the password of a key in a file, which cosign would ask for on each of its runs."""
    if "://" in key or _VARIABLE in os.environ or not sys.stdin.isatty():
        return {}
    return {_VARIABLE: getpass.getpass(f"Password of {key}: ")}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `signer` reads. Parse the arguments that `words` returns."""
    parser.add_argument(
        _FLAG,
        nargs="?",
        const=_KEYLESS,
        type=lambda text: text if text == _KEYLESS else cosign.key(text),
        metavar="KEY",
        help="also sign the image, and attest its bill of materials and its provenance. --sign=KEY signs with a private"
        " key: a file, or a URI such as gcpkms://…/versions/1. --sign signs with a certificate for your account"
        f" (keyless). Cosign reads the password of a file from {_VARIABLE}, or asks for it",
    )
    parser.add_argument(
        "--transparency-log",
        action="store_true",
        help="with --sign=KEY: publish the signature in Sigstore's transparency log; --sign always does",
    )


def check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit with an error if the parsed flags contradict each other."""
    if arguments.transparency_log and arguments.sign is None:
        parser.error("--transparency-log needs --sign=KEY: without it, nothing is signed")


def words(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command line such that `--sign` does not take the next argument for its key."""
    return [f"{_FLAG}={_KEYLESS}" if word == _FLAG else word for word in arguments]


def signer(arguments: argparse.Namespace, program: Cosign, sbom: Sequence[Path], statement: Path) -> Signer | None:
    """Return what an image is signed with, or None if the command line does not ask for a signature.

    Args:
        arguments: the parsed command line.
        program: cosign.
        sbom: the bills of materials of the image.
        statement: the provenance of the image.

    Raises:
        UnstampedError: the provenance does not name a commit.
    """
    if arguments.sign is None:
        return None
    if not provenance.commits(json.loads(statement.read_text(encoding="utf-8"))):
        raise UnstampedError(
            "an image is signed only if it names its commit: push with ./bazelw run --config=release, or without --sign"
        )
    key = None if arguments.sign == _KEYLESS else arguments.sign
    return Signer(program, key, arguments.transparency_log, [*sbom, statement])
