"""Tests of the images' configuration and layers, and that the images have nothing that they do not need."""

import json
import tarfile
from pathlib import Path

import pytest

from bazel.oci.layout import Layout, digest

# The images in Python, which share the layer of the interpreter.
IN_PYTHON = ("deploy/image", "ingress/image")
# The size limit of each image: all compressed layers, in bytes.
SIZES = {"deploy/image": 32_000_000, "ingress/image": 53_000_000, "server/go/image": 5_000_000}

of_images_in_python = pytest.mark.parametrize("folder", IN_PYTHON, indirect=True)


@pytest.fixture(scope="module", params=SIZES)
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture(scope="module")
def image(folder: Path) -> Layout:
    return Layout(folder)


@pytest.fixture(scope="module")
def layers(image: Layout) -> list[list[tarfile.TarInfo]]:
    return [archive.getmembers() for archive in image.archives()]


def test_the_configuration_lists_the_digests_of_the_layers(image: Layout) -> None:
    assert image.config()["rootfs"]["diff_ids"] == list(map(digest, image.layers()))


def test_the_manifest_and_the_configuration_match_the_golden_file(image: Layout, folder: Path) -> None:
    """Compare everything but the layers and the labels of a release, which change with every build."""
    manifest, config = image.manifest(), image.config()
    for about in (manifest["annotations"], config["config"]["Labels"]):
        for name in ("revision", "source", "version"):
            about.pop(f"org.opencontainers.image.{name}", None)
    metadata = {
        "annotations": manifest["annotations"],
        "config": {key: value for key, value in config.items() if key != "rootfs"},
        "mediaTypes": [manifest["mediaType"], *(layer["mediaType"] for layer in manifest["layers"])],
        "platform": json.loads((folder / "index.json").read_text(encoding="utf-8"))["manifests"][0]["platform"],
    }
    assert metadata == json.loads(folder.with_suffix(".golden.json").read_text(encoding="utf-8"))


def test_entries_are_owned_by_root_undated_sorted_and_unique(layers: list[list[tarfile.TarInfo]]) -> None:
    files: list[str] = []
    for members in layers:
        assert {(entry.uid, entry.gid, entry.mtime) for entry in members} == {(0, 0, 0)}
        assert not [entry.name for entry in members if entry.mode & 0o6000]
        writable = [entry for entry in members if not entry.issym() and entry.mode & 0o022]
        assert [(entry.name, entry.mode) for entry in writable] in ([], [("tmp", 0o1777)])
        names = [entry.name.removeprefix("./").split("/") for entry in members]
        assert names == sorted(names)
        files += [entry.name for entry in members if not entry.isdir()]
    assert len(files) == len(set(files))


@of_images_in_python
def test_nothing_is_in_a_folder_that_merged_usr_makes_a_link(layers: list[list[tarfile.TarInfo]]) -> None:
    links = {entry.name: entry.linkname for entry in layers[0] if entry.issym() and "/" not in entry.name}
    assert links == {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}
    for members in layers:
        assert not [entry.name for entry in members if entry.name.startswith(("bin/", "lib/", "lib64/", "sbin/"))]


@of_images_in_python
def test_scanners_can_recognize_debian_and_its_packages(layers: list[list[tarfile.TarInfo]]) -> None:
    names = {entry.name for entry in layers[0]}
    assert {"etc/debian_version", "etc/os-release", "usr/lib/os-release"} < names
    assert [name for name in names if name.startswith("var/lib/dpkg/status.d/")]


def test_the_layout_names_the_image_for_tools_that_read_layouts(folder: Path) -> None:
    [entry] = json.loads((folder / "index.json").read_text(encoding="utf-8"))["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "latest"}


@of_images_in_python
def test_there_is_no_shell_no_package_manager_and_no_pip(layers: list[list[tarfile.TarInfo]]) -> None:
    programs = {entry.name for members in layers for entry in members if entry.name.startswith("usr/bin/")}
    assert programs == {"usr/bin/python3", "usr/bin/python3.13"}
    assert not [entry.name for members in layers for entry in members if "/pip" in entry.name]


@of_images_in_python
def test_every_module_has_bytecode(layers: list[list[tarfile.TarInfo]]) -> None:
    for members in layers:
        names = {entry.name for entry in members}
        modules = [Path(name) for name in names if name.endswith(".py")]
        assert not [
            module
            for module in modules
            if str(module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc") not in names
        ]


def test_the_image_is_below_its_size_limit(image: Layout, folder: Path) -> None:
    assert sum(layer["size"] for layer in image.manifest()["layers"]) < SIZES[str(folder)]


@pytest.mark.parametrize("folder", ["server/go/image"], indirect=True)
def test_the_image_in_go_has_only_the_program(layers: list[list[tarfile.TarInfo]]) -> None:
    assert [(entry.name, entry.mode) for members in layers for entry in members] == [("server", 0o755)]


def test_both_images_in_python_share_the_layer_of_the_interpreter() -> None:
    bases = {Layout(Path(folder)).manifest()["layers"][0]["digest"] for folder in IN_PYTHON}
    assert len(bases) == 1
