"""Prints what an image consists of: its layers, and the files and folders that take most."""

import collections
import io
import tarfile
from pathlib import Path

from bazel.oci.layout import Layout

_MEGABYTE = 1e6
_LARGEST = 10


def _sizes(tar: bytes) -> collections.Counter[str]:
    """Return how many bytes each place of a layer takes: a folder that is four deep, or a file less deep."""
    sizes: collections.Counter[str] = collections.Counter()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for entry in archive:
            sizes["/".join(Path(entry.name).parts[:4])] += entry.size
    return sizes


def report(layout: Layout) -> str:
    """Return the figures of an image, as tables in Markdown."""
    compressed = [layer["size"] for layer in layout.manifest()["layers"]]
    rows = ["| layer | compressed | unpacked |", "| --- | ---: | ---: |"]
    places: collections.Counter[str] = collections.Counter()
    unpacked = 0
    for size, step, tar in zip(compressed, layout.config()["history"], layout.layers(), strict=True):
        rows.append(f"| {step['created_by']} | {size / _MEGABYTE:.2f} MB | {len(tar) / _MEGABYTE:.2f} MB |")
        places += _sizes(tar)
        unpacked += len(tar)
    rows += [f"| all | {sum(compressed) / _MEGABYTE:.2f} MB | {unpacked / _MEGABYTE:.2f} MB |", ""]
    rows += ["| what is largest | unpacked |", "| --- | ---: |"]
    rows += [f"| `{place}` | {taken / _MEGABYTE:.2f} MB |" for place, taken in places.most_common(_LARGEST)]
    return "\n".join(rows)


def main(image: Path) -> int:
    """Print the report of one image, whose OCI layout it is."""
    print(report(Layout(image)))
    return 0
