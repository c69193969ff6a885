"""An OCI layout of one image: a folder of blobs named by digest (https://github.com/opencontainers/image-spec)."""

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
    """Return the digest of a blob, such as `sha256:…`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def hex_of(reference: Json) -> str:
    """Return the digest in a descriptor without `sha256:`, which is the blob's file name."""
    return str(reference["digest"]).removeprefix("sha256:")


def encoded(value: Json) -> bytes:
    """Return the value as JSON, so that equal values give the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Layout:
    """An OCI layout with one image, to write or to read.

    Args:
        folder: the folder of the layout.
    """

    def __init__(self, folder: Path) -> None:
        """Set the folder, without accessing it."""
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"

    def begin(self) -> None:
        """Create the folders of the layout."""
        self._blobs.mkdir(parents=True)

    def put(self, content: bytes, media_type: str) -> Json:
        """Write a blob and return its descriptor."""
        reference = {"mediaType": media_type, "digest": digest(content), "size": len(content)}
        (self._blobs / hex_of(reference)).write_bytes(content)
        return reference

    def finish(self, manifest: Json) -> None:
        """Write the index and the version of the layout, the entry points for readers."""
        (self._folder / "oci-layout").write_bytes(encoded({"imageLayoutVersion": "1.0.0"}))
        # umoci and containerd refer to an image in a layout by this name.
        named = manifest | {"annotations": {"org.opencontainers.image.ref.name": "latest"}}
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}
        (self._folder / "index.json").write_bytes(encoded(index))

    def get(self, reference: Json) -> bytes:
        """Read a blob.

        Raises:
            ValueError: the blob does not match its digest or size.
        """
        content = (self._blobs / hex_of(reference)).read_bytes()
        if (digest(content), len(content)) != (reference["digest"], reference["size"]):
            raise ValueError(f"{self._folder}: the blob {reference['digest']} does not match its digest and size")
        return content

    def reference(self) -> Json:
        """Return the descriptor of the manifest: its media type, digest and size."""
        [reference] = json.loads((self._folder / "index.json").read_bytes())["manifests"]
        return {key: reference[key] for key in ("mediaType", "digest", "size")}

    def manifest(self) -> Json:
        """Read the manifest of the image."""
        manifest: Json = json.loads(self.get(self.reference()))
        return manifest

    def config(self) -> Json:
        """Read the configuration of the image, including the history and the hashes of its layers."""
        config: Json = json.loads(self.get(self.manifest()["config"]))
        return config

    def layers(self) -> list[bytes]:
        """Read the layers of the image as tars, the lowest first."""
        return [gzip.decompress(self.get(reference)) for reference in self.manifest()["layers"]]

    def archives(self) -> Iterator[tarfile.TarFile]:
        """Open the layers of the image one after another, the lowest first."""
        for layer in self.layers():
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                yield archive
