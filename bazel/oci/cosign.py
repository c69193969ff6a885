"""Run cosign (https://docs.sigstore.dev/cosign/): the keys, and the services of Sigstore that a key does not need."""

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The predicates that are attested, as cosign names their types, by the suffix of the file.
TYPES = {".cdx.json": "cyclonedx", ".slsa.json": "slsaprovenance1"}
# Neither a transparency log nor a certificate authority. Without these files, cosign fetches those of Sigstore.
_NO_SERVICES = {
    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    "rekorTlogConfig": {},
    "tsaConfig": {},
}
_NO_ROOTS = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}


class CosignError(Exception):
    """Cosign failed."""


def key(text: str) -> str:
    """Return the URI of a key, or the absolute path of a key file: a type for argparse.

    Args:
        text: the path of a file, relative to the folder in which the command was typed, or the URI of a key in a key
            management service.
    """
    if "://" in text:
        return text
    file = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."), text)
    if not file.is_file():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a key: must be a file, or the URI of a key, such as"
            " gcpkms://projects/PROJECT/locations/LOCATION/keyRings/KEYRING/cryptoKeys/KEY/versions/1"
        )
    return str(file.absolute())


@dataclass(frozen=True)
class Cosign:
    """The program cosign.

    Attributes:
        program: its path.
        kms: the path of the plugin for Google's Cloud KMS, which is named sigstore-kms-gcpkms.
    """

    program: Path
    kms: Path

    def run(self, command: str, *arguments: str | Path, environment: Mapping[str, str], capture: bool = False) -> str:
        """Run a command of cosign, and return its standard output.

        Args:
            command: the command, such as `sign`.
            arguments: its arguments.
            environment: the environment variables, with the credentials for the registry.
            capture: whether standard error is for the exception instead of the user.

        Raises:
            CosignError: the command failed; the message is cosign's, if it was captured.
        """
        path = f"{self.kms.absolute().parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
        done = subprocess.run(
            [self.program.absolute(), command, *arguments],
            env={**environment, "PATH": path},
            stderr=subprocess.PIPE if capture else None,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            reasons = [line for line in (done.stderr or "").splitlines() if line.startswith("Error: ")]
            raise CosignError(reasons[0].removeprefix("Error: ") if reasons else f"cosign {command} failed, see above")
        return done.stdout


def signing(folder: Path) -> Sequence[str]:
    """Return the arguments with which cosign signs without a service of Sigstore; they name files in a folder."""
    services = folder / "signing_config.json"
    services.write_text(json.dumps(_NO_SERVICES), encoding="utf-8")
    return [_roots(folder), f"--signing-config={services}"]


def verifying(folder: Path) -> Sequence[str]:
    """Return the arguments with which cosign verifies what it has signed with those of `signing`."""
    return [_roots(folder), "--insecure-ignore-tlog"]


def _roots(folder: Path) -> str:
    roots = folder / "trusted_root.json"
    roots.write_text(json.dumps(_NO_ROOTS), encoding="utf-8")
    return f"--trusted-root={roots}"
