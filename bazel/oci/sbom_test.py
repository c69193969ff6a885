"""Tests of the bill of materials of a fake image."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.output.json import JsonV1Dot6

from bazel.oci import sbom
from bazel.oci.fake_image import layout_of
from bazel.oci.layout import Layout

FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
FILES = "Files: {}\nCopyright: somebody\nLicense: {}\n\n"

# Two binary packages of one source package, which share a copyright file, and one with a copyright file in prose.
IMAGE = {
    "usr/lib/os-release": 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n',
    "var/lib/dpkg/status.d/libx1": "Package: libx1\nVersion: 1:2-3\nArchitecture: amd64\nSource: x (2)\nSHA256: aa\n",
    "var/lib/dpkg/status.d/x-base": "Package: x-base\nVersion: 4\nArchitecture: all\nSource: x\nSHA256: bb\n",
    "var/lib/dpkg/status.d/y": "Package: y\nVersion: 5\nArchitecture: amd64\nSHA256: cc\n",
    "usr/share/doc/x-base/copyright": FORMAT + FILES.format("*", "GPL-2+") + FILES.format("a", "Expat"),
    "usr/share/doc/y/copyright": "It is free.\n",
    "app/site-packages/one-1.0.dist-info/METADATA": "Metadata-Version: 2.4\nName: one\nVersion: 1.0\n",
}


def _layout(folder: Path) -> Layout:
    return layout_of(folder / "layout", {"all": {name: text.encode() for name, text in IMAGE.items()}})


def _wheel(folder: Path, name: str, *fields: str) -> Path:
    file = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        metadata = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *fields]) + "\n"
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
    return file


def _components(layout: Layout, *wheels: Path) -> dict[str, dict[str, Any]]:
    written = json.loads(JsonV1Dot6(sbom.bill("it", layout, wheels)).output_as_string())
    return {component["name"]: component for component in written.get("components", [])}


def _licenses(component: dict[str, Any]) -> list[str]:
    return [value for entry in component["licenses"] for value in (entry.get("license") or entry).values()]


def test_a_debian_package_has_version_hash_and_the_licences_of_its_source_package(tmp_path: Path) -> None:
    components = _components(_layout(tmp_path), _wheel(tmp_path, "one"))
    assert components["libx1"]["purl"] == "pkg:deb/debian/libx1@1:2-3?arch=amd64&distro=debian-13&upstream=x"
    assert components["y"]["purl"] == "pkg:deb/debian/y@5?arch=amd64&distro=debian-13"
    assert components["libx1"]["hashes"] == [{"alg": "SHA-256", "content": "aa"}]
    assert _licenses(components["libx1"]) == _licenses(components["x-base"]) == ["GPL-2.0-or-later", "MIT"]


def test_the_operating_system_is_listed(tmp_path: Path) -> None:
    system = _components(_layout(tmp_path), _wheel(tmp_path, "one"))["debian"]
    assert (system["type"], system["version"]) == ("operating-system", "13")


def test_an_image_without_an_operating_system_has_no_debian_packages(tmp_path: Path) -> None:
    assert _components(layout_of(tmp_path / "layout", {"all": {"app/program": b"static"}})) == {}


def test_an_unknown_licence_is_omitted(tmp_path: Path) -> None:
    components = _components(_layout(tmp_path), _wheel(tmp_path, "one"))
    assert "licenses" not in components["y"]
    assert "licenses" not in components["one"]


@pytest.mark.parametrize(
    ("fields", "licenses"),
    [
        (["License-Expression: MIT AND Apache-2.0", "License: none of this"], ["MIT AND Apache-2.0"]),
        (["License: Apache-2.0"], ["Apache-2.0"]),
        (["License: mine"], ["mine"]),
        (["License: long\n text", "Classifier: License :: OSI Approved :: Some License"], ["Some License"]),
    ],
)
def test_the_most_precise_licence_of_a_wheel_is_used(tmp_path: Path, fields: list[str], licenses: list[str]) -> None:
    assert _licenses(_components(_layout(tmp_path), _wheel(tmp_path, "one", *fields))["one"]) == licenses


def test_a_package_without_its_wheel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(sbom.WheelsError, match=r"the image has one 1\.0, but the oci_sbom lacks the wheel; add"):
        sbom.bill("it", _layout(tmp_path), [])


def test_a_wheel_that_is_not_in_the_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(sbom.WheelsError, match=r"two-1\.0-py3-none-any\.whl is not in the image"):
        sbom.bill("it", _layout(tmp_path), [_wheel(tmp_path, "one"), _wheel(tmp_path, "two")])


def test_an_npm_package_has_its_scope_version_hash_and_licence() -> None:
    inputs = [
        "web/main.ts",
        "node_modules/@a/b/dist/x.js",
        "node_modules/@a/b/y.js",
        "node_modules/c/node_modules/d/z.js",
    ]
    lock = {
        "node_modules/@a/b": {"version": "1.0.0", "integrity": "sha512-AAE=", "license": "(Apache-2.0 AND MIT)"},
        "node_modules/c/node_modules/d": {"version": "2.0.0", "integrity": "sha256-/w==", "license": "MIT"},
        "node_modules/unused": {"version": "3.0.0", "integrity": "sha512-AAE=", "license": "MIT"},
    }
    metafile = {"inputs": dict.fromkeys(inputs)}
    scoped, nested = sbom.npm_components([metafile], {"packages": lock})
    assert (scoped.name, str(scoped.purl)) == ("@a/b", "pkg:npm/%40a/b@1.0.0")
    assert (nested.name, str(nested.purl)) == ("d", "pkg:npm/d@2.0.0")
    assert [(hash_.alg.value, hash_.content) for hash_ in [*scoped.hashes, *nested.hashes]] == [
        ("SHA-512", "0001"),
        ("SHA-256", "ff"),
    ]


def test_the_same_image_gives_the_same_bill_of_materials(tmp_path: Path) -> None:
    layout, wheel = _layout(tmp_path), _wheel(tmp_path, "one")
    first, second = (JsonV1Dot6(sbom.bill("it", layout, [wheel])).output_as_string() for _ in range(2))
    assert first == second
