"""An OCI layout: a folder of blobs, each named by its hash (https://github.com/opencontainers/image-spec)."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"

Json = dict[str, Any]


def digest(content: bytes) -> str:
    """Return the name of a blob."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def encoded(value: Json) -> bytes:
    """Return JSON that is the same whenever the value is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Layout:
    """A layout with one image, to be written or read.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"

    def begin(self) -> None:
        """Make its folders, which must not exist."""
        self._blobs.mkdir(parents=True)

    def put(self, content: bytes, media_type: str) -> Json:
        """Write a blob, and return what refers to it."""
        name = digest(content)
        (self._blobs / name.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": name, "size": len(content)}

    def finish(self, manifest: Json) -> None:
        """Write what a reader begins with."""
        (self._folder / "oci-layout").write_bytes(encoded({"imageLayoutVersion": "1.0.0"}))
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [manifest]}
        (self._folder / "index.json").write_bytes(encoded(index))

    def get(self, reference: Json) -> bytes:
        """Read a blob.

        Raises:
            ValueError: it is not what it is named by.
        """
        content = (self._blobs / str(reference["digest"]).removeprefix("sha256:")).read_bytes()
        if (digest(content), len(content)) != (reference["digest"], reference["size"]):
            raise ValueError(f"{self._folder}: the blob {reference['digest']} is not what its name says")
        return content

    def reference(self) -> Json:
        """Return what refers to the manifest: its type, digest and size."""
        [reference] = json.loads((self._folder / "index.json").read_bytes())["manifests"]
        return {key: reference[key] for key in ("mediaType", "digest", "size")}

    def manifest(self) -> Json:
        """Read the manifest of the image."""
        manifest: Json = json.loads(self.get(self.reference()))
        return manifest

    def config(self) -> Json:
        """Read the configuration of the image, history and hashes of its layers included."""
        config: Json = json.loads(self.get(self.manifest()["config"]))
        return config

    def layers(self) -> list[bytes]:
        """Read the layers of the image as tars, the lowest first."""
        return [gzip.decompress(self.get(reference)) for reference in self.manifest()["layers"]]
