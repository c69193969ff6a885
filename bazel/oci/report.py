"""Prints what an image consists of: its layers, and the folders and files that take most."""

import collections
import io
import tarfile
from pathlib import Path

from bazel.oci.layout import Layout

_MEGABYTE = 1e6
_LARGEST = 8


def _largest(tar: bytes) -> list[tuple[str, int]]:
    """Return the places of a layer that take most: a package or folder of a library folder, or a file elsewhere."""
    sizes: collections.Counter[str] = collections.Counter()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for entry in archive:
            place = Path(entry.name)
            names = place.parts[:4] if place.parent.name else place.parts
            sizes["/".join(names)] += entry.size
    return sizes.most_common(_LARGEST)


def report(layout: Layout) -> str:
    """Return the figures of an image, as tables in Markdown."""
    sizes = [layer["size"] for layer in layout.manifest()["layers"]]
    rows = ["| layer | compressed | unpacked |", "| --- | ---: | ---: |"]
    places = ["| largest, unpacked | |", "| --- | ---: |"]
    for size, step, tar in zip(sizes, layout.config()["history"], layout.layers(), strict=True):
        rows.append(f"| {step['created_by']} | {size / _MEGABYTE:.2f} MB | {len(tar) / _MEGABYTE:.2f} MB |")
        places += [f"| `{place}` | {taken / _MEGABYTE:.2f} MB |" for place, taken in _largest(tar)]
    rows.append(f"| all | {sum(sizes) / _MEGABYTE:.2f} MB | |")
    return "\n".join([*rows, "", *places])


def main(image: Path) -> int:
    """Print the report of one image, whose OCI layout it is."""
    print(report(Layout(image)))
    return 0
