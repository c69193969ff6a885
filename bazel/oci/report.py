"""Print the layers and the largest files and folders of an image."""

import collections
import tarfile
from pathlib import Path

from bazel.oci.layout import Layout

_LARGEST = 10


def _sizes(archive: tarfile.TarFile) -> collections.Counter[str]:
    """Return the size of each path in a layer, in bytes. Deeper paths count towards their ancestor at depth four."""
    sizes: collections.Counter[str] = collections.Counter()
    for entry in archive:
        sizes["/".join(Path(entry.name).parts[:4])] += entry.size
    return sizes


def report(layout: Layout) -> str:
    """Return the digest of an image and its sizes, as Markdown tables.

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
        "| largest files and folders | unpacked |",
        "| --- | ---: |",
        *(f"| `{place}` | {_megabytes(size)} |" for place, size in places.most_common(_LARGEST)),
    ]
    return "\n".join(rows)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def main(image: Path) -> int:
    """Print the report of one image, given its OCI layout."""
    print(report(Layout(image)))
    return 0
