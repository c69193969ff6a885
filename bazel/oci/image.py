"""Writes an image as an OCI layout (https://github.com/opencontainers/image-spec), the same whenever its layers are.

image.py FOLDER CONFIG TAR...: CONFIG is the JSON that becomes the image's `config`, with `os`, `architecture` and
`annotations` beside it.
"""

import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

_EPOCH = "1970-01-01T00:00:00Z"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"

Json = dict[str, Any]


def digest(content: bytes) -> str:
    """Return the name of a blob."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def compressed(tar: bytes) -> bytes:
    """Compress a layer, with neither a name nor a time in the header."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(tar) + packer.flush()


def _json(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Layout:
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self._folder = folder
        self._blobs = folder / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)

    def put(self, content: bytes, media_type: str) -> Json:
        """Write a blob, and return what refers to it."""
        name = digest(content)
        (self._blobs / name.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": name, "size": len(content)}

    def finish(self, manifest: Json) -> None:
        """Write what a reader begins with."""
        (self._folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [manifest]}
        (self._folder / "index.json").write_bytes(_json(index))


def write(folder: Path, settings: Json, tars: list[Path]) -> None:
    """Write an image of some layers.

    Args:
        folder: the layout, which must not exist.
        settings: `config`, `os`, `architecture` and `annotations`.
        tars: the layers, the lowest first, not compressed.
    """
    layout = Layout(folder)
    platform = {"os": settings["os"], "architecture": settings["architecture"]}
    layers = [layout.put(compressed(tar.read_bytes()), _LAYER) for tar in tars]
    config = platform | {
        "created": _EPOCH,
        "config": settings["config"],
        "rootfs": {"type": "layers", "diff_ids": [digest(tar.read_bytes()) for tar in tars]},
        "history": [{"created": _EPOCH, "created_by": tar.name} for tar in tars],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": layout.put(_json(config), _CONFIG),
        "layers": layers,
        "annotations": settings["annotations"],
    }
    layout.finish(layout.put(_json(manifest), _MANIFEST) | {"platform": platform})


def main() -> int:
    """Write one image."""
    folder, settings, *tars = map(Path, sys.argv[1:])
    write(folder, json.loads(settings.read_text(encoding="utf-8")), tars)
    return 0


if __name__ == "__main__":
    sys.exit(main())
