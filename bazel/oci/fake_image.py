"""Images that are made up for a test."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bazel.oci import compress, image, layer
from bazel.oci.layout import Json, Layout

SETTINGS: Json = {
    "annotations": {"org.opencontainers.image.title": "made up"},
    "architecture": "amd64",
    "config": {"Entrypoint": ["/program"]},
    "os": "linux",
}


def layout_of(folder: Path, layers: Mapping[str, Mapping[str, bytes]]) -> Layout:
    """Write an image, and return it.

    Args:
        folder: where it is to be, and its layers beside it.
        layers: the files of each layer, by its name.
    """
    written = []
    for name, files in layers.items():
        tar = folder.with_name(f"{name}.tar")
        layer.write({PurePosixPath(place): content for place, content in files.items()}, tar)
        written.append(folder.with_name(f"{name}.tar.gz"))
        written[-1].write_bytes(compress.compressed(tar.read_bytes()))
    image.write(folder, SETTINGS, written)
    return Layout(folder)
