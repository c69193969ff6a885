"""Verify an image in a registry: its signature, its attested bill of materials and provenance, and its layers."""

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bazel.oci import cosign, provenance, push
from bazel.oci.cosign import Cosign, CosignError
from bazel.oci.layout import Json

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_STATEMENTS = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
# The types of predicates. A signature is a statement too; "cosign verify" would accept any attestation in its place.
_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
_SBOM = "https://cyclonedx.org/bom"
_PROVENANCE = "https://slsa.dev/provenance/v1"
_NAMES = {_SIGNATURE: "signature", _SBOM: "bill of materials", _PROVENANCE: "provenance"}


class UnverifiedError(Exception):
    """The image, or one of its attestations, failed the verification."""


@dataclass(frozen=True)
class _Expected:
    """What the command line requires.

    Attributes:
        signer: who must have signed the image, for messages.
        options: the same as arguments of cosign.
        target: the label of the image; None for any.
        source: the URL of the source repository; None for any.
        builder: the builder; None for any.
    """

    signer: str
    options: Sequence[str]
    target: str | None
    source: str | None
    builder: str | None


class Image:
    """An image in a registry.

    Args:
        name: HOST/NAME.
        version: a tag or a digest.
        crane: the path of the program crane.
        program: cosign.
        environment: the environment variables, with the credentials for the registry.

    Raises:
        UnverifiedError: the registry does not have the image.
    """

    def __init__(self, name: str, version: str, crane: Path, program: Cosign, environment: Mapping[str, str]) -> None:
        """Look up the digest of the image, by which everything else is read."""
        self._crane, self._cosign, self._environment = crane, program, environment
        separator = "@" if _DIGEST.fullmatch(version) else ":"
        self.digest = self._read("digest", f"{name}{separator}{version}").strip()
        self.reference = f"{name}@{self.digest}"

    def _read(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            [self._crane.absolute(), command, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UnverifiedError(done.stderr.strip().rpartition("\n")[2].removeprefix("Error: "))
        return done.stdout

    def manifest(self) -> Json:
        """Return the manifest of the image.

        Raises:
            UnverifiedError: it is something else, such as an index of images.
        """
        manifest: Json = json.loads(self._read("manifest", self.reference))
        if manifest.get("mediaType") != _IMAGE:
            raise UnverifiedError(f"this is not an image, but {manifest.get('mediaType')!r}: must be {_IMAGE}")
        return manifest

    def check_layers(self) -> None:
        """Read the configuration and all layers.

        Raises:
            UnverifiedError: one does not match its digest.
        """
        try:
            self._read("validate", "--remote", self.reference)
        except UnverifiedError as error:
            raise UnverifiedError(f"the content does not match its digest: {error}") from error

    def signed(self, expected: _Expected, kind: str) -> list[Json]:
        """Return the predicates of one type that the expected signer has signed for this image.

        Raises:
            UnverifiedError: there are none.
        """
        name, arguments = _NAMES[kind], [*expected.options, f"--type={kind}", self.reference]
        try:
            output = self._cosign.run("verify-attestation", *arguments, environment=self._environment, capture=True)
        except CosignError as error:
            raise UnverifiedError(f"no valid {name} by {expected.signer}: {error}") from error
        statements = [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in output.splitlines()]
        for statement in statements:
            digests = [subject["digest"].get("sha256") for subject in statement["subject"]]
            if statement["_type"] not in _STATEMENTS or statement["predicateType"] != kind:
                raise UnverifiedError(f"the {name} is a {statement['predicateType']}: must be {kind}")
            if digests != [self.digest.removeprefix("sha256:")]:
                raise UnverifiedError(f"the {name} is that of another image: {digests}")
        return [statement["predicate"] for statement in statements]


def _first(predicates: Sequence[Json], check: Callable[[Json], str]) -> str:
    """Return the result of the first predicate that passes a check: an image may have been signed more than once.

    Raises:
        UnverifiedError: none passes.
    """
    problem = UnverifiedError("nothing is attested")
    for predicate in predicates:
        try:
            return check(predicate)
        except UnverifiedError as error:
            problem = error
        except (KeyError, TypeError, AttributeError) as error:
            problem = UnverifiedError(f"an attested predicate is malformed: {error!r}")
    raise problem


def _check_sbom(bom: Json, digest: str) -> str:
    named, components = bom["metadata"]["component"]["version"], bom.get("components", [])
    if named != digest:
        raise UnverifiedError(f"the bill of materials is that of {named}")
    if not components:
        raise UnverifiedError("the bill of materials has no components")
    return f"{len(components)} components"


def _check_provenance(predicate: Json, manifest: Json, expected: _Expected) -> str:
    commits, source = provenance.commits(predicate), provenance.source_of(manifest)
    if source is None or commits != [source]:
        raise UnverifiedError(f"the provenance names {commits}, and the image {source}: must be the same commit")
    builder = predicate["runDetails"]["builder"]["id"]
    target = predicate["buildDefinition"]["externalParameters"]["target"]
    url = source["uri"].removeprefix("git+").rpartition("@")[0]
    for what, found, wanted in (
        ("target", target, expected.target),
        ("source", url, expected.source),
        ("builder", builder, expected.builder),
    ):
        if wanted not in (None, found):
            raise UnverifiedError(f"the {what} is {found!r}: must be {wanted!r}")
    locks = [each for each in predicate["buildDefinition"]["resolvedDependencies"] if "sha256" in each["digest"]]
    if not locks:
        raise UnverifiedError("the provenance has no lock files")
    return f"{target} built by {builder} from {source['uri']}, with {len(locks)} lock files"


def report(image: Image, expected: _Expected) -> list[str]:
    """Verify an image, and return a line for each thing that was verified.

    Raises:
        UnverifiedError: the image is not what it should be; the message says why.
    """
    image.signed(expected, _SIGNATURE)
    manifest = image.manifest()
    sbom = _first(image.signed(expected, _SBOM), lambda bom: _check_sbom(bom, image.digest))
    source = _first(
        image.signed(expected, _PROVENANCE), lambda predicate: _check_provenance(predicate, manifest, expected)
    )
    image.check_layers()
    size = sum(layer["size"] for layer in manifest["layers"])
    return [
        image.reference,
        f"signature: valid, by {expected.signer}",
        f"bill of materials: attested, {sbom}",
        f"provenance: attested, {source}",
        f"content: {len(manifest['layers'])} layers, {size / 1e6:.1f} MB, as signed",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verify",
        description="Verify an image: its signature, its attested bill of materials and provenance, and its layers."
        " Uses the credentials of Docker or gcloud.",
    )
    parser.add_argument("reference", help="HOST/NAME:TAG or HOST/NAME@DIGEST; a digest has priority over a tag")
    parser.add_argument("--key", type=cosign.key, help="the public key that must have signed: a file or a URI")
    parser.add_argument("--identity", help="the account that must have signed with --sign: an email address or a URI")
    parser.add_argument("--issuer", help="the URL of the OpenID provider that has authenticated --identity")
    parser.add_argument(
        "--transparency-log", action="store_true", help="with --key: the signature must be in Sigstore's public log"
    )
    parser.add_argument("--target", help="the label of the image, such as //deploy:image (default: any)")
    parser.add_argument("--source", help="the URL of the repository that the image must be built from (default: any)")
    parser.add_argument("--builder", help="the builder that must have built the image, a URI (default: any)")
    arguments = parser.parse_args()
    if bool(arguments.key) == bool(arguments.identity) or bool(arguments.identity) != bool(arguments.issuer):
        parser.error("who must have signed is not set: use either --key, or --identity and --issuer")
    name, _, digest = arguments.reference.partition("@")
    try:
        arguments.name, tags = push.parse(name)
    except ValueError as error:
        parser.error(str(error))
    arguments.version = digest or next(iter(tags), "")
    if not arguments.version or (digest and not _DIGEST.fullmatch(digest)):
        parser.error(f"{arguments.reference!r} is not valid: must be HOST/NAME:TAG or HOST/NAME@sha256:…")
    return arguments


def _expected(arguments: argparse.Namespace, program: Cosign, folder: Path) -> _Expected:
    if arguments.key:
        file = Path(arguments.key)
        if "://" in arguments.key:  # verify here, instead of in the key management service
            file = folder / "public.pem"
            try:
                output = [f"--key={arguments.key}", f"--outfile={file}"]
                program.run("public-key", *output, environment=os.environ, capture=True)
            except CosignError as error:
                raise UnverifiedError(f"{arguments.key} cannot be read: {error}") from error
        signer, options = arguments.key, [f"--key={file}"]
        options += [] if arguments.transparency_log else cosign.verifying(folder)
    else:
        signer = f"{arguments.identity} of {arguments.issuer}"
        options = [
            f"--certificate-identity={arguments.identity}",
            f"--certificate-oidc-issuer={arguments.issuer}",
        ]
    return _Expected(signer, options, arguments.target, arguments.source, arguments.builder)


def main(crane: Path, cosign: Path, kms: Path) -> int:
    """Verify one image, and print the report.

    Args:
        crane: the path of the program crane.
        cosign: the path of the program cosign.
        kms: the path of cosign's plugin for Google's Cloud KMS.

    Returns:
        0 if the image was verified, else 1. Invalid arguments exit with 2.
    """
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        try:
            environment = push.environment_for(arguments.name.partition("/")[0], Path(folder))
            program = Cosign(cosign, kms)
            expected = _expected(arguments, program, Path(folder))
            lines = report(Image(arguments.name, arguments.version, crane, program, environment), expected)
        except (UnverifiedError, push.ConfigError) as error:
            print(f"verify: {arguments.reference}: {error}", file=sys.stderr)
            return 1
    print("\n".join(lines))
    return 0
