"""Fetch one package, and unpack its wheel as pypi_package expects it: bin/, data/, include/ and site-packages/.

install_wheel.py REQUIREMENTS: prints the names of the packages that it depends on, as JSON. The file REQUIREMENTS has
one requirement. If its environment marker excludes this platform, nothing is unpacked.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from installer.utils import parse_metadata_file
from packaging.requirements import Requirement

_SCHEMES = {
    "purelib": "site-packages",
    "platlib": "site-packages",
    "headers": "include",
    "scripts": "bin",
    "data": "data",
}

# A wheel that is built from a source archive is the same on every machine: no dates, and no random order.
_REPRODUCIBLE = {"CFLAGS": "-g0", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "315532800"}


def fetch(requirements: Path) -> Path | None:
    """Download a wheel, or build one, into the current folder. Return its path, or None if it is not for this platform.

    Raises:
        subprocess.CalledProcessError: pip failed. It has printed the reason.
    """
    line, *hashes = requirements.read_text(encoding="utf-8").split("--hash=sha256:")
    marker = Requirement(line).marker
    if marker and not marker.evaluate():
        return None
    wheel = _wheel(requirements)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() in map(str.strip, hashes):
        return wheel
    # It was built from a source archive, maybe by another build: pip keeps such wheels, and does not verify them.
    wheel.unlink()
    return _wheel(requirements, "--no-cache-dir")


def _wheel(requirements: Path, *options: str) -> Path:
    # Without build isolation a source archive is built with the locked setuptools, not with the newest one.
    common = ["--quiet", "--no-deps", "--no-build-isolation", "--require-hashes", f"--requirement={requirements}"]
    pip = [sys.executable, "-m", "pip", "wheel", "--wheel-dir=.", *common, *options]
    subprocess.run(pip, check=True, env=os.environ | _REPRODUCIBLE, stdout=sys.stderr)
    [wheel] = Path().glob("*.whl")
    return wheel


def unpack(wheel: Path) -> None:
    """Unpack a wheel into the current folder, without bytecode."""
    schemes = {scheme: str(Path(folder).absolute()) for scheme, folder in _SCHEMES.items()}
    destination = SchemeDictionaryDestination(schemes, interpreter="/usr/bin/env python3", script_kind="posix")
    with WheelFile.open(wheel) as source:
        install(source=source, destination=destination, additional_metadata={"INSTALLER": b"pypi_package"})


def dependencies(wheel: Path) -> list[str]:
    """Return the names of the packages that a wheel needs on this platform, without those of its extras."""
    with WheelFile.open(wheel) as source:
        metadata = parse_metadata_file(source.read_dist_info("METADATA"))
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    # Without an extra, the markers of optional dependencies are false.
    return sorted({each.name for each in required if not each.marker or each.marker.evaluate({"extra": ""})})


def main() -> None:
    """Fetch and unpack the package, and print its dependencies."""
    wheel = fetch(Path(sys.argv[1]))
    if wheel:
        unpack(wheel)
    print(json.dumps(dependencies(wheel) if wheel else []))


if __name__ == "__main__":
    main()
