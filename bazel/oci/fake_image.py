"""Fake images for tests."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bazel.oci import compress, image, layer
from bazel.oci.layout import Json, Layout

SETTINGS: Json = {
    "annotations": {"org.opencontainers.image.title": "fake"},
    "architecture": "amd64",
    "config": {"Entrypoint": ["/program"]},
    "os": "linux",
}


def layout_of(folder: Path, layers: Mapping[str, Mapping[str, bytes]]) -> Layout:
    """Write a fake image and return its layout.

    Args:
        folder: the folder of the layout. The layers are also written next to it.
        layers: for each layer, by its name, the content of each file, by its path.
    """
    written = []
    for name, files in layers.items():
        tar = folder.with_name(f"{name}.tar")
        layer.write({PurePosixPath(place): content for place, content in files.items()}, tar)
        written.append(folder.with_name(f"{name}.tar.gz"))
        written[-1].write_bytes(compress.compressed(tar.read_bytes()))
    image.write(folder, SETTINGS, written)
    return Layout(folder)
