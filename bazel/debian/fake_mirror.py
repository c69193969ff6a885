"""Fakes for tests: Debian packages, a signed mirror on loopback that serves them, and a snapshot archive."""

import hashlib
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from pysequoia import SignatureMode, Tsk, sign

from testing.fakes.loopback_server import LoopbackServer, QuietHandler

SUITE = "trixie"


class Package(NamedTuple):
    """A Debian package.

    Attributes:
        name: the name of the package.
        version: the version of the package.
        control: the control fields, as in the package index.
        content: the content of the .deb file.
    """

    name: str
    version: str
    control: str
    content: bytes

    @property
    def path(self) -> str:
        """The path on a mirror, which apt calls Filename."""
        return f"pool/main/{self.name[0]}/{self.name}/{self.name}_{self.version.rpartition(':')[2]}_all.deb"

    @property
    def sha256(self) -> str:
        """The SHA-256 of the .deb file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def pin(self) -> str:
        """The line for this package in a lock."""
        return f"{self.name} {self.version} {self.sha256} {self.path}"


def build(folder: Path, name: str, version: str, text: str = "") -> Package:
    """Build a package.

    Args:
        folder: an empty folder for the files of the package.
        name: the name of the package.
        version: the version of the package.
        text: the content of usr/share/NAME/text; by default, the version.
    """
    files = {
        "DEBIAN/control": f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: Test <test@example.com>\nDescription: made for a test\n",
        f"usr/share/{name}/text": text or version,
        f"usr/share/doc/{name}/copyright": "License: CC0-1.0\n",
    }
    for place, content in files.items():
        file = folder / "root" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    (folder / "root").chmod(0o755)
    deb = folder / "package.deb"
    command = ["/usr/bin/dpkg-deb", "--root-owner-group", "-Znone", "--build", str(folder / "root"), str(deb)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Package(name, version, files["DEBIAN/control"], deb.read_bytes())


class FileServer(LoopbackServer):
    """An HTTP server for files.

    Attributes:
        files: contents by path, without a leading slash.
        requests: the requested paths, in order.
        broken: by path, how many of the next requests get a connection that closes in the middle of the file.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.broken: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """The base URI."""
        return f"http://{self.host}"


class _Handler(QuietHandler):
    server: FileServer

    def do_GET(self) -> None:
        path = unquote(self.path).removeprefix("/")
        self.server.requests.append(path)
        content = self.server.files.get(path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.server.broken[path] > 0 else content)
        self.server.broken[path] -= 1


class Mirror(FileServer):
    """A mirror of one suite, signed with its own key."""

    def __init__(self) -> None:
        super().__init__()
        self._key = Tsk.generate("Test mirror")

    def keyring(self, folder: Path) -> Path:
        """Write the keyring that verifies the mirror's signatures, and return its path."""
        file = folder / "keyring.gpg"
        file.write_bytes(bytes(self._key.extract_certificate()))
        return file

    def publish(self, *packages: Package) -> None:
        """Serve these packages as the current ones of the suite, and nothing else."""
        index = "\n".join(
            f"{package.control}Filename: {package.path}\nSize: {len(package.content)}\nSHA256: {package.sha256}\n"
            for package in packages
        ).encode()
        # apt rejects dates in the future, but accepts any past date because Acquire::Check-Valid-Until is false.
        release = (
            f"Suite: {SUITE}\nCodename: {SUITE}\nDate: Wed, 01 Jan 2020 00:00:00 UTC\nArchitectures: amd64\n"
            "Components: main\nSHA256:\n"
            f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-amd64/Packages\n"
        )
        signed = sign(self._key.signer(), release.encode(), mode=SignatureMode.CLEAR)
        self.files = {package.path: package.content for package in packages} | {
            f"dists/{SUITE}/InRelease": signed,
            f"dists/{SUITE}/main/binary-amd64/Packages": index,
        }
