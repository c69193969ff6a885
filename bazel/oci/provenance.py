"""Write the provenance of an image as a SLSA predicate, reproducibly (https://slsa.dev/spec/v1.1/provenance).

provenance.py FILE LAYOUT TARGET [--option OPTION]... [--status FILE] [--lock FILE NAME]...: the commit
is that of the image's annotations, which Bazel has stamped. The builder comes from Bazel's workspace status.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from bazel.oci.image import read_status
from bazel.oci.layout import Json, Layout, encoded

_SOURCE, _REVISION = "org.opencontainers.image.source", "org.opencontainers.image.revision"
# This type means: Bazel built the target with the options in externalParameters.
_BUILD_TYPE = "https://bazel.build/run/build"
_UNSTAMPED = "unstamped"


def source_of(manifest: Json) -> Json | None:
    """Return the descriptor of the commit that an image was built from, or None if the image is not stamped.

    Args:
        manifest: the manifest of the image.
    """
    annotations = manifest.get("annotations", {})
    if not annotations.keys() >= {_SOURCE, _REVISION}:
        return None
    revision = annotations[_REVISION]
    return {"uri": f"git+{annotations[_SOURCE]}@{revision}", "digest": {"gitCommit": revision}}


def builder_of(status: Mapping[str, str]) -> str:
    """Return the URI of the builder: STABLE_BUILDER of the workspace status, else the account that ran Bazel."""
    if not status:
        return _UNSTAMPED
    return status.get("STABLE_BUILDER") or f"acct:{quote(status['BUILD_USER'])}@{quote(status['BUILD_HOST'])}"


def predicate(
    manifest: Json, target: str, options: Iterable[str], status: Mapping[str, str], locks: Mapping[str, bytes]
) -> Json:
    """Return the provenance of an image.

    Args:
        manifest: the manifest of the image.
        target: the label of the image.
        options: the options of the build.
        status: Bazel's workspace status; empty if the build is not stamped.
        locks: the content of each lock file, by its path in the repository.
    """
    source = source_of(manifest)
    materials = [
        {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}} for name, content in locks.items()
    ]
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "externalParameters": {"target": target, "options": list(options)},
            "resolvedDependencies": [*([source] if source else []), *materials],
        },
        "runDetails": {"builder": {"id": builder_of(status)}},
    }


def commits(written: Json) -> list[Json]:
    """Return the descriptors of the commits in a provenance: one, or none if the image is not stamped."""
    materials = written["buildDefinition"]["resolvedDependencies"]
    return [material for material in materials if "gitCommit" in material["digest"]]


def main() -> int:
    """Write one provenance."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("layout", type=Path)
    parser.add_argument("target")
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("--status", type=Path)
    parser.add_argument("--lock", action="append", default=[], nargs=2)
    arguments = parser.parse_args()
    written = predicate(
        Layout(arguments.layout).manifest(),
        arguments.target,
        arguments.option,
        read_status(arguments.status),
        {name: Path(file).read_bytes() for file, name in arguments.lock},
    )
    arguments.file.write_bytes(encoded(written) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
