"""Prints what an image consists of: its layers, and the files and folders that take most."""

import collections
import tarfile
from pathlib import Path

from bazel.oci.layout import Layout

_LARGEST = 10


def _sizes(archive: tarfile.TarFile) -> collections.Counter[str]:
    """Return how many bytes are at each place of a layer; a place that is more than four deep counts as where it is."""
    sizes: collections.Counter[str] = collections.Counter()
    for entry in archive:
        sizes["/".join(Path(entry.name).parts[:4])] += entry.size
    return sizes


def report(layout: Layout) -> str:
    """Return the digest and the figures of an image, as tables in Markdown.

    Args:
        layout: the image.
    """
    config, manifest = layout.config(), layout.manifest()
    layers = [_sizes(archive) for archive in layout.archives()]
    places = sum(layers, collections.Counter[str]())
    compressed = [layer["size"] for layer in manifest["layers"]]
    rows = [
        f"{layout.reference()['digest']}, {config['os']}/{config['architecture']}",
        "",
        "| layer | compressed | unpacked |",
        "| --- | ---: | ---: |",
        *(
            f"| {step['created_by']} | {_megabytes(size)} | {_megabytes(layer.total())} |"
            for step, size, layer in zip(config["history"], compressed, layers, strict=True)
        ),
        f"| all | {_megabytes(sum(compressed))} | {_megabytes(places.total())} |",
        "",
        "| what is largest | unpacked |",
        "| --- | ---: |",
        *(f"| `{place}` | {_megabytes(size)} |" for place, size in places.most_common(_LARGEST)),
    ]
    return "\n".join(rows)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def main(image: Path) -> int:
    """Print the report of one image, whose OCI layout it is."""
    print(report(Layout(image)))
    return 0
