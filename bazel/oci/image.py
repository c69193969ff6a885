"""Write an image as an OCI layout (https://github.com/opencontainers/image-spec), reproducibly.

image.py FOLDER SETTINGS [--status FILE] [--release] [--stale FILE]... LAYER...: SETTINGS is a JSON file with the
`config`, `os`, `architecture` and `annotations` of the image.
"""

import argparse
import gzip
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from bazel.oci.layout import MANIFEST, Json, Layout, digest, encoded

_KEY = re.compile(
    r"\{([A-Z_]+)\}"
)  # of Bazel's workspace status: https://bazel.build/docs/user-manual#workspace-status
_EPOCH = "1970-01-01T00:00:00Z"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG = "application/vnd.oci.image.config.v1+json"


class ReleaseError(ValueError):
    """The image does not meet the requirements of a release."""


def write(folder: Path, settings: Json, layers: list[Path]) -> None:
    """Write an image with the given layers.

    Args:
        folder: the folder of the layout, without blobs.
        settings: `config`, `os`, `architecture` and `annotations`.
        layers: compressed tars, the lowest first.
    """
    layout = Layout(folder)
    layout.begin()
    platform = {"os": settings["os"], "architecture": settings["architecture"]}
    contents = {layer: layer.read_bytes() for layer in layers}
    config = platform | {
        "created": _EPOCH,
        "config": settings["config"],
        "rootfs": {"type": "layers", "diff_ids": [digest(gzip.decompress(content)) for content in contents.values()]},
        "history": [{"created": _EPOCH, "created_by": layer.stem} for layer in contents],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.put(encoded(config), _CONFIG),
        "layers": [layout.put(content, _LAYER) for content in contents.values()],
        "annotations": settings["annotations"],
    }
    layout.finish(layout.put(encoded(manifest), MANIFEST) | {"platform": platform})


def stamped(texts: Mapping[str, str], status: Mapping[str, str]) -> dict[str, str]:
    """Replace keys of Bazel's workspace status by their values, and omit texts with an unknown key.

    Args:
        texts: annotations, or labels, such as `{"…revision": "{STABLE_REVISION}"}`.
        status: the workspace status; empty without --stamp.
    """
    return {
        name: _KEY.sub(lambda key: status[key[1]], text)
        for name, text in texts.items()
        if all(key in status for key in _KEY.findall(text))
    }


def check_release(settings: Json, status: Mapping[str, str], stale: list[str]) -> None:
    """Check that others can reproduce the image.

    Args:
        settings: the settings of the image.
        status: the workspace status.
        stale: the pins, as `NAME VERSION`, of Debian packages whose pinned file was not served.

    Raises:
        ReleaseError: others cannot reproduce the image; the message lists all reasons.
    """
    texts = [*settings["annotations"].values(), *settings["config"].get("Labels", {}).values()]
    unknown = sorted({key for text in texts for key in _KEY.findall(text)} - set(status))
    reasons = [f"the workspace status has no {key}; see --stamp and --workspace_status_command" for key in unknown]
    reasons += [
        f"{pin} is pinned, but another version is in the image, because no mirror or snapshot archive served the "
        "pinned one; to pin the current version: ./bazelw run //third_party/debian:lock"
        for pin in stale
    ]
    if reasons:
        raise ReleaseError("\n  ".join(["cannot build a release:", *reasons]))


def read_status(file: Path | None) -> dict[str, str]:
    """Read Bazel's workspace status; without a file, the build is not stamped, and the status is empty."""
    lines = file.read_text(encoding="utf-8").splitlines() if file else []
    return dict(line.split(" ", 1) for line in lines if " " in line)


def main() -> int:
    """Write one image. Return 1 if it should be a release but does not meet the requirements, else 0."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--status", type=Path)
    parser.add_argument("--release", action="store_true")
    parser.add_argument("--stale", action="append", default=[], type=Path)
    parser.add_argument("layers", nargs="+", type=Path)
    arguments = parser.parse_args()
    settings, status = json.loads(arguments.settings.read_text(encoding="utf-8")), read_status(arguments.status)
    if arguments.release:
        stale = [line for file in arguments.stale for line in file.read_text(encoding="utf-8").splitlines()]
        try:
            check_release(settings, status, stale)
        except ReleaseError as error:
            print(f"image: {error}", file=sys.stderr)
            return 1
    settings["annotations"] = stamped(settings["annotations"], status)
    if "Labels" in settings["config"]:
        settings["config"]["Labels"] = stamped(settings["config"]["Labels"], status)
    write(arguments.folder, settings, arguments.layers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
