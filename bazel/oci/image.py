"""Writes an image as an OCI layout (https://github.com/opencontainers/image-spec), the same whenever its layers are.

image.py FOLDER CONFIG TAR...: CONFIG is the JSON that becomes the image's `config`, with `os`, `architecture` and
`annotations` beside it.
"""

import json
import sys
from pathlib import Path

import deflate

from bazel.oci.layout import MANIFEST, Json, Layout, digest, encoded

_TIGHTEST = 12
_EPOCH = "1970-01-01T00:00:00Z"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"


def write(folder: Path, settings: Json, tars: list[Path]) -> None:
    """Write an image of some layers.

    Args:
        folder: the layout, which must not exist.
        settings: `config`, `os`, `architecture` and `annotations`.
        tars: the layers, the lowest first, not compressed.
    """
    layout = Layout(folder)
    layout.begin()
    platform = {"os": settings["os"], "architecture": settings["architecture"]}
    layers = [layout.put(bytes(deflate.gzip_compress(tar.read_bytes(), _TIGHTEST)), _LAYER) for tar in tars]
    config = platform | {
        "created": _EPOCH,
        "config": settings["config"],
        "rootfs": {"type": "layers", "diff_ids": [digest(tar.read_bytes()) for tar in tars]},
        "history": [{"created": _EPOCH, "created_by": tar.name} for tar in tars],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.put(encoded(config), _CONFIG),
        "layers": layers,
        "annotations": settings["annotations"],
    }
    layout.finish(layout.put(encoded(manifest), MANIFEST) | {"platform": platform})


def main() -> int:
    """Write one image."""
    folder, settings, *tars = map(Path, sys.argv[1:])
    write(folder, json.loads(settings.read_text(encoding="utf-8")), tars)
    return 0


if __name__ == "__main__":
    sys.exit(main())
