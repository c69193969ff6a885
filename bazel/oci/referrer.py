"""Write a file as an artifact that refers to an image, such as its bill of materials.

https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage
"""

from pathlib import Path

from bazel.oci.layout import MANIFEST, Json, Layout, encoded

# Media types by file name suffix.
_MEDIA_TYPES = {".cdx.json": "application/vnd.cyclonedx+json", ".spdx.json": "application/spdx+json"}


def media_type(file: Path) -> str:
    """Return the media type of a file.

    Raises:
        ValueError: the suffix of the file is unknown.
    """
    for suffix, name in _MEDIA_TYPES.items():
        if file.name.endswith(suffix):
            return name
    raise ValueError(f"{file.name}: unknown type: the name must end with {' or '.join(_MEDIA_TYPES)}")


def write(folder: Path, subject: Json, file: Path) -> Layout:
    """Write the artifact as an OCI layout, and return the layout.

    Args:
        folder: the folder of the layout, without blobs.
        subject: the descriptor of the image's manifest.
        file: the content of the artifact.
    """
    layout, kind = Layout(folder), media_type(file)
    layout.begin()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        # Empty, but with the artifact's type instead of application/vnd.oci.empty.v1+json: for registries without a
        # referrers API, crane maintains the list of referrers itself and uses the config's type as the artifact's type.
        "config": layout.put(b"{}", kind),
        "layers": [layout.put(file.read_bytes(), kind)],
        "subject": subject,
    }
    layout.finish(layout.put(encoded(manifest), MANIFEST))
    return layout
