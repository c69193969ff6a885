"""Settings that the images of this repository share."""

# The files that pin what the images are built from. The ingress adds the npm lock of the page. Each build reads either
# WORKSPACE or MODULE.bazel.
IMAGE_LOCKS = [
    "//:.bazelversion",
    "//:MODULE.bazel",
    "//:WORKSPACE",
    "//third_party/debian:python.lock",
    "//third_party/python:requirements.lock",
]

# The environment of a Python program in the folders of py_image_layers.
PYTHON_ENV = {
    "PATH": "/usr/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/app:/app/site-packages",
    # Import modules only from PYTHONPATH, not from the folder of main.py.
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    # The image has no locales, from which Python would otherwise choose the encoding.
    "PYTHONUTF8": "1",
}

def image_labels(description, title):
    """Returns the standard metadata of an image: https://github.com/opencontainers/image-spec/blob/main/annotations.md.

    Docker shows labels and registries show annotations, so set both on an image.

    Args:
      description: what the image does, in a few words.
      title: the name of the image.
    """
    return {
        "org.opencontainers.image.description": description,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.revision": "{STABLE_REVISION}",
        "org.opencontainers.image.source": "{STABLE_SOURCE}",
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": "{STABLE_VERSION}",
    }
