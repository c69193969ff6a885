"""Runs the checks of structure.yaml on the image, with container-structure-test itself."""

import os
import subprocess
from pathlib import Path

from bazel.oci import archive
from bazel.oci.layout import Layout

PROGRAM = Path(os.environ["CONTAINER_STRUCTURE_TEST"]).absolute()


def test_the_image_passes_container_structure_test(tmp_path: Path) -> None:
    image = f"{tmp_path}/image.tar"
    with Path(image).open("wb") as file:
        archive.write(Layout(Path("deploy/image")), ["calculator:test"], file)
    options = ["--driver", "tar", "--no-color", "--image", image, "--config", "deploy/structure.yaml"]
    tested = subprocess.run([PROGRAM, "test", *options], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    assert "Passes:      6\nFailures:    0\n" in tested.stdout
