"""Prints what an image consists of: its layers, and the folders and files that take most.

report.py LAYOUT
"""

import collections
import gzip
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

_MEGABYTE = 1e6
_LARGEST = 8


def _blob(layout: Path, reference: dict[str, Any]) -> bytes:
    return Path(layout, "blobs", str(reference["digest"]).replace(":", "/")).read_bytes()


def _largest(tar: bytes) -> list[tuple[str, int]]:
    """Return the places of a layer that take most: a package or folder of a library folder, or a file elsewhere."""
    sizes: collections.Counter[str] = collections.Counter()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for entry in archive:
            place = Path(entry.name)
            names = place.parts[:4] if place.parent.name else place.parts
            sizes["/".join(names)] += entry.size
    return sizes.most_common(_LARGEST)


def report(layout: Path) -> str:
    """Return the figures of an image, as tables in Markdown."""
    [index] = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads(_blob(layout, index))
    history = json.loads(_blob(layout, manifest["config"]))["history"]
    rows = ["| layer | compressed | unpacked |", "| --- | ---: | ---: |"]
    places = ["| largest, unpacked | |", "| --- | ---: |"]
    for reference, step in zip(manifest["layers"], history, strict=True):
        tar = gzip.decompress(_blob(layout, reference))
        rows.append(
            f"| {step['created_by']} | {reference['size'] / _MEGABYTE:.2f} MB | {len(tar) / _MEGABYTE:.2f} MB |"
        )
        places += [f"| `{place}` | {size / _MEGABYTE:.2f} MB |" for place, size in _largest(tar)]
    total = sum(reference["size"] for reference in manifest["layers"])
    rows.append(f"| all | {total / _MEGABYTE:.2f} MB | |")
    return "\n".join([*rows, "", *places])


def main() -> int:
    """Print the report of one image."""
    print(report(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
