"""Writes a file as an artifact that refers to an image, such as its bill of materials.

https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
"""

from pathlib import Path

from bazel.oci.layout import MANIFEST, Json, Layout, encoded

# What a file is, by the end of its name.
_MEDIA_TYPES = {".cdx.json": "application/vnd.cyclonedx+json", ".spdx.json": "application/spdx+json"}


def media_type(file: Path) -> str:
    """Return what kind of file it is.

    Raises:
        ValueError: nothing that is known.
    """
    for suffix, name in _MEDIA_TYPES.items():
        if file.name.endswith(suffix):
            return name
    raise ValueError(f"{file.name} is of no known kind; accepted are files that end with {', '.join(_MEDIA_TYPES)}")


def write(folder: Path, subject: Json, file: Path) -> Layout:
    """Write the artifact as an OCI layout, and return that.

    Args:
        folder: where the layout is to be; it has no blobs yet.
        subject: what refers to the manifest of the image.
        file: what is to be found beside the image.
    """
    layout, kind = Layout(folder), media_type(file)
    layout.begin()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        # Empty. Its type is the artifact's, not application/vnd.oci.empty.v1+json: crane takes it for the artifact's
        # where it keeps the list of referrers itself, for registries that have none.
        "config": layout.put(b"{}", kind),
        "layers": [layout.put(file.read_bytes(), kind)],
        "subject": subject,
    }
    layout.finish(layout.put(encoded(manifest), MANIFEST))
    return layout
