"""Write an image as an archive for "docker load" and "podman load"."""

import io
import json
import tarfile
from typing import IO

from bazel.oci.layout import Layout, hex_of


def write(layout: Layout, tags: list[str], stream: IO[bytes]) -> None:
    """Write an image to a stream, which need not be seekable.

    Args:
        layout: the image.
        tags: names of the image in the engine, such as `calculator:latest`.
        stream: the stream to write to.
    """
    manifest = layout.manifest()
    config = hex_of(manifest["config"]) + ".json"
    names = [hex_of(layer) + ".tar.gz" for layer in manifest["layers"]]
    index = [{"Config": config, "RepoTags": tags, "Layers": names}]
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        _add(archive, config, layout.get(manifest["config"]))
        for name, layer in dict(zip(names, manifest["layers"], strict=True)).items():  # write equal layers only once
            _add(archive, name, layout.get(layer))
        _add(archive, "manifest.json", json.dumps(index).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
