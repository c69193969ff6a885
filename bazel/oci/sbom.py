"""Writes the bill of materials of an image, in CycloneDX (https://cyclonedx.org/specification/overview/).

sbom.py FILE NAME LAYOUT WHEEL...: the image says itself what it has of Debian, in /var/lib/dpkg/status.d; of each of
its Python packages there must be the wheel, and no other.
"""

import argparse
import email
import hashlib
import logging
import re
import sys
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.message import Message
from pathlib import Path
from typing import cast

from cyclonedx.contrib.license.exceptions import InvalidSpdxLicenseException
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License
from cyclonedx.output.json import JsonV1Dot6
from debian.copyright import Copyright, NotMachineReadableError
from debian.copyright import License as DebianLicense
from debian.deb822 import Deb822
from packageurl import PackageURL

from bazel.oci.layout import Layout

_OS_RELEASE = "usr/lib/os-release"
_SAYS_WHAT_IT_IS = re.compile(
    rf"{_OS_RELEASE}|var/lib/dpkg/status\.d/.*|usr/share/doc/[^/]*/copyright|.*\.dist-info/METADATA"
)
_LICENSES = LicenseFactory()
# https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-specification
_GNU = re.compile(r"([AL]?GPL|GFDL)-(\d)(\.\d)?(\+)?")
_DEBIAN_NAMES = {"Expat": "MIT", "BSD-2-clause": "BSD-2-Clause", "BSD-3-clause": "BSD-3-Clause"}
_NO_LICENSES = {"none", "verbatim"}  # which copyright files say of a file here and there

Files = dict[str, str]


class WheelsError(ValueError):
    """The wheels are not those that are in the image."""


def files_of(layout: Layout) -> Files:
    """Return the texts in an image that say what it consists of."""
    files = {}
    for archive in layout.archives():
        for entry in archive:
            content = archive.extractfile(entry) if _SAYS_WHAT_IT_IS.fullmatch(entry.name) else None
            if content:
                files[entry.name] = content.read().decode()
    return files


def _license(name: str) -> DisjunctiveLicense:
    """Return a licence by SPDX's identifier, or by the name it was given if that is none."""
    gnu = _GNU.fullmatch(name)
    if gnu:  # Debian's GPL-2+ is SPDX's GPL-2.0-or-later
        name = f"{gnu[1]}-{gnu[2]}{gnu[3] or '.0'}-{'or-later' if gnu[4] else 'only'}"
    try:
        return _LICENSES.make_with_id(_DEBIAN_NAMES.get(name, name))
    except InvalidSpdxLicenseException:
        return _LICENSES.make_with_name(name)


def _debian_licenses(text: str) -> set[str]:
    """Return the short names of the licences in a copyright file; none if it was not written for machines."""
    try:
        copyrights = Copyright(text.splitlines(keepends=True), strict=False)
    except NotMachineReadableError:
        return set()
    licenses = [cast("DebianLicense | None", paragraph.license) for paragraph in copyrights.all_files_paragraphs()]
    return {found.synopsis for found in licenses if found and found.synopsis} - _NO_LICENSES


def debian_components(files: Files) -> Iterator[Component]:
    """Yield the system, and the packages of it that an image consists of."""
    release = {key: value.strip('"') for key, value in (line.split("=", 1) for line in files[_OS_RELEASE].splitlines())}
    distribution = f"{release['ID']}-{release['VERSION_ID']}"
    yield Component(
        bom_ref=distribution, name=release["ID"], type=ComponentType.OPERATING_SYSTEM, version=release["VERSION_ID"]
    )
    packages = [Deb822(text) for name, text in sorted(files.items()) if "/status.d/" in name]
    licenses: dict[str, set[str]] = {}  # by source: Debian keeps one copyright file for all packages of one
    for package in packages:
        text = files.get(f"usr/share/doc/{package['Package']}/copyright", "")
        licenses.setdefault(_source(package), set()).update(_debian_licenses(text))
    for package in packages:
        qualifiers = {"arch": package["Architecture"], "distro": distribution}
        if _source(package) != package["Package"]:
            qualifiers["upstream"] = _source(package)  # by which Debian's security advisories go
        purl = PackageURL("deb", "debian", package["Package"], package["Version"], qualifiers)
        named = map(_license, sorted(licenses[_source(package)]))
        yield _component(purl, package["SHA256"], named)


def _source(package: Deb822) -> str:
    return str(package.get("Source", package["Package"])).partition(" ")[0]


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def _wheel_licenses(metadata: Message) -> list[License]:
    """Return what a wheel says of its licence: an expression, else a name, else its classifiers."""
    name = metadata["License-Expression"] or metadata["License"]
    if name and "\n" not in name:
        return [_LICENSES.make_from_string(name)]
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License :: ")]
    return [_license(classifier.rpartition(" :: ")[2]) for classifier in classifiers]


def wheel_components(files: Files, wheels: Iterable[Path]) -> Iterator[Component]:
    """Yield the Python packages that an image consists of.

    Raises:
        WheelsError: a package of the image has no wheel, or a wheel is of no package.
    """
    installed = {_key(email.message_from_string(text)) for name, text in files.items() if name.endswith("/METADATA")}
    for wheel in sorted(wheels, key=lambda wheel: wheel.name):
        metadata = _metadata(wheel)
        if _key(metadata) not in installed:
            raise WheelsError(f"{wheel.name} is not in the image; take it out of the wheels of the oci_sbom")
        installed.remove(_key(metadata))
        purl = PackageURL("pypi", None, metadata["Name"], metadata["Version"])
        yield _component(purl, hashlib.sha256(wheel.read_bytes()).hexdigest(), _wheel_licenses(metadata))
    if installed:
        missing = ", ".join(sorted(" ".join(key) for key in installed))
        raise WheelsError(f"the image has {missing}; add whl_requirement(…) of it to the wheels of the oci_sbom")


def _key(metadata: Message) -> tuple[str, str]:
    return metadata["Name"], metadata["Version"]


def _component(purl: PackageURL, sha256: str, licenses: Iterable[License]) -> Component:
    return Component(
        bom_ref=purl.to_string(),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        licenses=licenses,
        name=purl.name,
        purl=purl,
        version=purl.version,
    )


def bill(name: str, layout: Layout, wheels: Iterable[Path]) -> Bom:
    """Return the bill of materials of an image: the same whenever the image is.

    Args:
        name: what the image is called.
        layout: the image.
        wheels: those of its Python packages.

    Raises:
        WheelsError: a package of the image has no wheel, or a wheel is of no package.
    """
    files, digest = files_of(layout), layout.reference()["digest"]
    image = Component(
        bom_ref=digest,
        name=name,
        purl=PackageURL("oci", None, name, digest),
        type=ComponentType.CONTAINER,
        version=digest,
    )
    components = [*debian_components(files), *wheel_components(files, wheels)]
    bom = Bom(
        components=components,
        metadata=BomMetaData(component=image, timestamp=datetime.fromisoformat(layout.config()["created"])),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"oci:{name}@{digest}"),
    )
    bom.register_dependency(image, components)
    return bom


def main() -> int:
    """Write one bill; return 1 if the wheels are not those of the image."""
    logging.getLogger("debian.copyright").setLevel(logging.ERROR)  # it tells of every http that should be https
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("name")
    parser.add_argument("layout", type=Path)
    parser.add_argument("wheels", nargs="*", type=Path)
    arguments = parser.parse_args()
    try:
        bom = bill(arguments.name, Layout(arguments.layout), arguments.wheels)
    except WheelsError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    arguments.file.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
