"""An OCI layout of one image: a folder of blobs, each named by its hash (https://github.com/opencontainers/image-spec)."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"

Json = dict[str, Any]


def digest(content: bytes) -> str:
    """Return the name of a blob, such as `sha256:…`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def hex_of(reference: Json) -> str:
    """Return the digest in what refers to a blob, as the name of a file has it."""
    return str(reference["digest"]).removeprefix("sha256:")


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
        """Make its folders; there are no blobs yet."""
        self._blobs.mkdir(parents=True)

    def put(self, content: bytes, media_type: str) -> Json:
        """Write a blob, and return what refers to it."""
        reference = {"mediaType": media_type, "digest": digest(content), "size": len(content)}
        (self._blobs / hex_of(reference)).write_bytes(content)
        return reference

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
        content = (self._blobs / hex_of(reference)).read_bytes()
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

    def archives(self) -> Iterator[tarfile.TarFile]:
        """Open the layers of the image, one after the other, the lowest first."""
        for layer in self.layers():
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                yield archive
