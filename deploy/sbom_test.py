"""The bill of materials: it is valid, whole, and agrees with what is locked."""

import json
import os
import re
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bazel.oci.layout import Layout

TEXT = Path("deploy/sbom.cdx.json").read_text(encoding="utf-8")
BOM = json.loads(TEXT)
# pip is of the toolchain, not of the image.
NOT_IN_THE_IMAGE = {"python3-pip-whl"}


def _components(kind: str) -> dict[tuple[str, str], str]:
    return {
        (component["name"], component["version"]): component["hashes"][0]["content"]
        for component in BOM["components"]
        if component.get("purl", "").startswith(f"pkg:{kind}/")
    }


def test_it_is_what_the_schema_allows() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(TEXT) is None


def test_it_is_of_this_image() -> None:
    digest = Layout(Path("deploy/image")).reference()["digest"]
    component = BOM["metadata"]["component"]
    assert (component["name"], component["version"]) == ("calculator", digest)
    [direct] = [entry["dependsOn"] for entry in BOM["dependencies"] if entry["ref"] == component["bom-ref"]]
    assert set(direct) == {entry["bom-ref"] for entry in BOM["components"]}


def test_every_debian_package_is_there_as_it_is_locked() -> None:
    lines = Path("third_party/debian/python.lock").read_text(encoding="utf-8").splitlines()[1:]
    locked = {
        (name, version): sha256 for name, version, sha256 in map(str.split, lines) if name not in NOT_IN_THE_IMAGE
    }
    debian = _components("deb")
    assert {name for name, _ in debian} == {name for name, _ in locked}
    stale = {name for name, _ in map(str.split, Path(os.environ["STALE"]).read_text(encoding="utf-8").splitlines())}
    assert {key: sha256 for key, sha256 in debian.items() if key[0] not in stale} == {
        key: sha256 for key, sha256 in locked.items() if key[0] not in stale
    }


def test_every_wheel_is_one_that_is_locked() -> None:
    lock = Path("third_party/python/requirements.lock").read_text(encoding="utf-8")
    wheels = _components("pypi")
    assert "grpcio" in {name for name, _ in wheels}
    for (name, version), sha256 in wheels.items():
        [entry] = re.findall(rf"^{name}=={re.escape(version)}\b(.*?)(?=^\S)", lock + ".", re.MULTILINE | re.DOTALL)
        assert f"sha256:{sha256}" in entry


def test_most_licences_are_known() -> None:
    unknown = {
        component["name"]
        for component in BOM["components"]
        if component["type"] == "library" and not component.get("licenses")
    }
    # Written for people: https://sources.debian.org/src/gcc-14/ and https://sources.debian.org/src/python3.13/.
    python = {name for name in unknown if "python3" in name}
    assert unknown - python == {"gcc-14-base", "libgcc-s1", "libstdc++6"}
