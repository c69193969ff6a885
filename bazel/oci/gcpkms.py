"""A plugin with which cosign signs by a key in Google's Cloud KMS. It runs gcloud.

Debian's cosign does not contain a client for Cloud KMS. For a key gcpkms://NAME it runs the program
sigstore-kms-gcpkms: https://github.com/sigstore/sigstore/tree/main/pkg/signature/kms/cliplugin.
"""

import base64
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bazel.oci.layout import Json

_VERSION = re.compile(
    r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/keyRings/(?P<keyring>[^/]+)"
    r"/cryptoKeys/(?P<key>[^/]+)/(versions|cryptoKeyVersions)/(?P<version>\d+)"
)
# Go's crypto.Hash: https://pkg.go.dev/crypto#Hash.
_SHA256 = 5


class KmsError(Exception):
    """The key cannot be used."""


def _gcloud(*arguments: str | Path) -> None:
    command = ["gcloud", "kms", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise KmsError("gcloud is not on PATH: see https://cloud.google.com/sdk/docs/install") from error
    if done.returncode:
        raise KmsError(f"gcloud failed: {done.stderr.strip()}")


def _answer(request: Json, message: bytes, folder: Path) -> Json:
    options, method, file = request["initOptions"], request["methodName"], folder / "output"
    found = _VERSION.fullmatch(options["keyResourceID"])
    if not found:
        raise KmsError(
            f"{options['keyResourceID']!r} is not the version of a key: must be"
            " gcpkms://projects/PROJECT/locations/LOCATION/keyRings/KEYRING/cryptoKeys/KEY/versions/NUMBER"
        )
    if options["hashFunc"] != _SHA256:
        raise KmsError("the key must sign with SHA-256, such as one with the algorithm ec-sign-p256-sha256")
    where = [f"--{flag}={found[flag]}" for flag in ("project", "location", "keyring", "key")]
    match method:
        case "publicKey":
            _gcloud("keys", "versions", "get-public-key", found["version"], *where, f"--output-file={file}")
            return {"publicKey": {"publicKeyPEM": base64.b64encode(file.read_bytes()).decode()}}
        case "signMessage":
            (folder / "input").write_bytes(message)
            files = [f"--input-file={folder / 'input'}", f"--signature-file={file}"]
            _gcloud("asymmetric-sign", *where, f"--version={found['version']}", "--digest-algorithm=sha256", *files)
            return {"signMessage": {"signature": base64.b64encode(file.read_bytes()).decode()}}
    raise KmsError(f"{method} is not supported")


def main() -> int:
    """Answer one request: its arguments are in argv[2], the message to sign is on standard input."""
    request = json.loads(sys.argv[2])
    message = sys.stdin.buffer.read() if request["methodName"] == "signMessage" else b""
    with tempfile.TemporaryDirectory() as folder:
        try:
            answer = _answer(request, message, Path(folder))
        except KmsError as error:
            answer = {"errorMessage": str(error)}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
