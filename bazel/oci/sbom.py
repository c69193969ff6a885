"""Write the bill of materials of an image in CycloneDX format (https://cyclonedx.org/specification/overview/).

sbom.py FILE NAME LAYOUT PACKAGE_LOCK [--metafile FILE]... WHEEL...: the Debian packages are listed in the image itself,
in /var/lib/dpkg/status.d. The wheels must be exactly those of the Python packages in the image. Of JavaScript in the
image, esbuild's metafiles list the npm packages (https://esbuild.github.io/api/#metafile), and npm's lock has their
versions and hashes.
"""

import argparse
import base64
import email
import hashlib
import json
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

from bazel.oci.layout import Json, Layout

_OS_RELEASE = "usr/lib/os-release"
_METADATA_PATHS = re.compile(
    rf"{_OS_RELEASE}|var/lib/dpkg/status\.d/.*|usr/share/doc/[^/]*/copyright|.*\.dist-info/METADATA"
)
# The folder of an npm package in the path of one of its files, as npm's lock names it.
_NPM_FOLDER = re.compile(r"(node_modules/(?:.*/node_modules/)?(?:@[^/]+/)?[^/]+)/")
_LICENSES = LicenseFactory()
# https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-specification
_GNU = re.compile(r"([AL]?GPL|GFDL)-(\d)(\.\d)?(\+)?")
_DEBIAN_NAMES = {"Expat": "MIT", "BSD-2-clause": "BSD-2-Clause", "BSD-3-clause": "BSD-3-Clause"}
_NO_LICENSES = {"none", "verbatim"}  # values in some copyright files that are not licences

Files = dict[str, str]


class WheelsError(ValueError):
    """The wheels do not match the Python packages in the image."""


def files_of(layout: Layout) -> Files:
    """Return the files of an image that describe its packages."""
    files = {}
    for archive in layout.archives():
        for entry in archive:
            content = archive.extractfile(entry) if _METADATA_PATHS.fullmatch(entry.name) else None
            if content:
                files[entry.name] = content.read().decode()
    return files


def _license(name: str) -> DisjunctiveLicense:
    """Return a licence by its SPDX identifier, or by the given name if SPDX has no such licence."""
    gnu = _GNU.fullmatch(name)
    if gnu:  # for example, Debian's GPL-2+ is SPDX's GPL-2.0-or-later
        name = f"{gnu[1]}-{gnu[2]}{gnu[3] or '.0'}-{'or-later' if gnu[4] else 'only'}"
    try:
        return _LICENSES.make_with_id(_DEBIAN_NAMES.get(name, name))
    except InvalidSpdxLicenseException:
        return _LICENSES.make_with_name(name)


def _debian_licenses(text: str) -> set[str]:
    """Return the short names of the licences in a copyright file, or an empty set if it is not machine-readable."""
    try:
        copyrights = Copyright(text.splitlines(keepends=True), strict=False)
    except NotMachineReadableError:
        return set()
    licenses = [cast("DebianLicense | None", paragraph.license) for paragraph in copyrights.all_files_paragraphs()]
    return {found.synopsis for found in licenses if found and found.synopsis} - _NO_LICENSES


def debian_components(files: Files) -> Iterator[Component]:
    """Yield the operating system of an image, if it has one, and its Debian packages."""
    if not any(name == _OS_RELEASE or "/status.d/" in name for name in files):
        return
    release = {key: value.strip('"') for key, value in (line.split("=", 1) for line in files[_OS_RELEASE].splitlines())}
    distribution = f"{release['ID']}-{release['VERSION_ID']}"
    yield Component(
        bom_ref=distribution, name=release["ID"], type=ComponentType.OPERATING_SYSTEM, version=release["VERSION_ID"]
    )
    packages = [Deb822(text) for name, text in sorted(files.items()) if "/status.d/" in name]
    licenses: dict[str, set[str]] = {}  # by source package: its binary packages may share one copyright file
    for package in packages:
        text = files.get(f"usr/share/doc/{package['Package']}/copyright", "")
        licenses.setdefault(_source(package), set()).update(_debian_licenses(text))
    for package in packages:
        qualifiers = {"arch": package["Architecture"], "distro": distribution}
        if _source(package) != package["Package"]:
            qualifiers["upstream"] = _source(package)  # Debian's security advisories name source packages
        purl = PackageURL("deb", "debian", package["Package"], package["Version"], qualifiers)
        named = map(_license, sorted(licenses[_source(package)]))
        yield _component(purl, HashType(alg=HashAlgorithm.SHA_256, content=package["SHA256"]), named)


def _source(package: Deb822) -> str:
    return str(package.get("Source", package["Package"])).partition(" ")[0]


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def _wheel_licenses(metadata: Message) -> list[License]:
    """Return the licences of a wheel: from its expression, else its name, else its classifiers."""
    name = metadata["License-Expression"] or metadata["License"]
    if name and "\n" not in name:
        return [_LICENSES.make_from_string(name)]
    classifiers = [value for value in metadata.get_all("Classifier", []) if value.startswith("License :: ")]
    return [_license(classifier.rpartition(" :: ")[2]) for classifier in classifiers]


def wheel_components(files: Files, wheels: Iterable[Path]) -> Iterator[Component]:
    """Yield the Python packages of an image.

    Raises:
        WheelsError: a Python package of the image has no wheel, or a wheel is not in the image.
    """
    installed = {_key(email.message_from_string(text)) for name, text in files.items() if name.endswith("/METADATA")}
    for wheel in sorted(wheels, key=lambda wheel: wheel.name):
        metadata = _metadata(wheel)
        if _key(metadata) not in installed:
            raise WheelsError(f"{wheel.name} is not in the image; remove it from the wheels of the oci_sbom")
        installed.remove(_key(metadata))
        purl = PackageURL("pypi", None, metadata["Name"], metadata["Version"])
        sha256 = HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(wheel.read_bytes()).hexdigest())
        yield _component(purl, sha256, _wheel_licenses(metadata))
    if installed:
        missing = ", ".join(sorted(" ".join(key) for key in installed))
        raise WheelsError(f"the image has {missing}, but the oci_sbom lacks the wheel; add whl_requirement(…)")


def _key(metadata: Message) -> tuple[str, str]:
    return metadata["Name"], metadata["Version"]


def npm_components(metafiles: Iterable[Json], lock: Json) -> Iterator[Component]:
    """Yield the npm packages whose code is bundled in the JavaScript of an image.

    Args:
        metafiles: esbuild's metafiles of the JavaScript.
        lock: the content of package-lock.json.
    """
    paths = {path for metafile in metafiles for path in metafile["inputs"]}
    for folder in sorted({found[1] for path in paths if (found := _NPM_FOLDER.search(path))}):
        package = lock["packages"][folder]
        scope, _, name = folder.rpartition("node_modules/")[2].rpartition("/")
        algorithm, _, encoded = package["integrity"].partition("-")  # https://www.w3.org/TR/SRI/
        hash_ = HashType(
            alg=HashAlgorithm(algorithm.upper().replace("SHA", "SHA-")), content=base64.b64decode(encoded).hex()
        )
        purl = PackageURL("npm", scope, name, package["version"])
        yield _component(purl, hash_, [_LICENSES.make_from_string(package["license"])])


def _component(purl: PackageURL, hash_: HashType, licenses: Iterable[License]) -> Component:
    return Component(
        bom_ref=purl.to_string(),
        hashes=[hash_],
        licenses=licenses,
        # The scope is a part of an npm package's name; the namespace of other packages is not.
        name=f"{purl.namespace}/{purl.name}" if purl.type == "npm" and purl.namespace else purl.name,
        purl=purl,
        version=purl.version,
    )


def bill(name: str, layout: Layout, wheels: Iterable[Path], npm: Iterable[Component] = ()) -> Bom:
    """Return the bill of materials of an image, reproducibly.

    Args:
        name: the name of the image.
        layout: the image.
        wheels: the wheels of its Python packages.
        npm: its npm packages.

    Raises:
        WheelsError: a Python package of the image has no wheel, or a wheel is not in the image.
    """
    files, digest = files_of(layout), layout.reference()["digest"]
    image = Component(
        bom_ref=digest,
        name=name,
        purl=PackageURL("oci", None, name, digest),
        type=ComponentType.CONTAINER,
        version=digest,
    )
    components = [*debian_components(files), *wheel_components(files, wheels), *npm]
    bom = Bom(
        components=components,
        metadata=BomMetaData(component=image, timestamp=datetime.fromisoformat(layout.config()["created"])),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"oci:{name}@{digest}"),
    )
    bom.register_dependency(image, components)
    return bom


def _json(file: str) -> Json:
    content: Json = json.loads(Path(file).read_text(encoding="utf-8"))
    return content


def main() -> int:
    """Write one bill of materials. Return 1 if the wheels do not match the image, else 0."""
    logging.getLogger("debian.copyright").setLevel(logging.ERROR)  # it warns about every http:// URL
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("name")
    parser.add_argument("layout", type=Path)
    parser.add_argument("package_lock", type=_json)
    parser.add_argument("--metafile", action="append", default=[], type=_json)
    parser.add_argument("wheels", nargs="*", type=Path)
    arguments = parser.parse_args()
    try:
        npm = npm_components(arguments.metafile, arguments.package_lock)
        bom = bill(arguments.name, Layout(arguments.layout), arguments.wheels, npm)
    except WheelsError as error:
        print(f"sbom: {error}", file=sys.stderr)
        return 1
    arguments.file.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
