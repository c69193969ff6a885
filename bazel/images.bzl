"""What the images of this repository have in common."""

# Of a program in Python, as py_image_layers lays it out.
PYTHON_ENV = {
    "PATH": "/usr/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/app:/app/site-packages",
    # Modules are found by PYTHONPATH alone, not beside main.py.
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    # There are no locales; without one, Python would have to guess.
    "PYTHONUTF8": "1",
}

def image_labels(description, title):
    """Returns what others look for in an image: https://github.com/opencontainers/image-spec/blob/main/annotations.md.

    Docker shows labels and registries annotations, so that an image has them as both.

    Args:
      description: what it does, in a few words.
      title: its name.
    """
    return {
        "org.opencontainers.image.description": description,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.revision": "{STABLE_REVISION}",
        "org.opencontainers.image.source": "{STABLE_SOURCE}",
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": "{STABLE_VERSION}",
    }
