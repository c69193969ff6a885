"""Tests of fetch.sh and lock.sh: which file is used for a pin, and the messages to the user.

The mirror and the snapshot archive are servers on loopback. apt, the signatures and the packages are real.
"""

import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bazel.debian.fake_mirror import SUITE, FileServer, Mirror, Package, build
from testing import programs

FETCH = Path("bazel/debian/fetch.sh").absolute()
APT = Path("tools/apt/apt.sh").absolute()
LOCK = Path("third_party/debian/lock.sh").absolute()
TIMESTAMP = "20260102T030405Z"
HASH = "a" * 64
INDEX = [f"dists/{SUITE}/InRelease", f"dists/{SUITE}/main/binary-amd64/Packages"]


class Machine:
    """A machine whose apt has no configuration, and which can reach a mirror and a snapshot archive."""

    def __init__(self, folder: Path, mirror: Mirror, archive: FileServer) -> None:
        self.folder = folder
        self.mirror = mirror
        self.archive = archive
        self.script = FETCH
        for empty in ("etc", "lists"):
            (folder / empty).mkdir()
        (folder / "apt.conf").write_text(
            f'Dir::Etc "{folder}/etc"; Dir::State::Lists "{folder}/lists"; Acquire::Retries "0";\n', encoding="utf-8"
        )
        self.environment = {
            "APT_CONFIG": str(folder / "apt.conf"),
            "DEBIAN_KEYRING": str(mirror.keyring(folder)),
            "DEBIAN_MIRROR": mirror.url,
            "DEBIAN_SNAPSHOT": f"{archive.url}/archive/",
        }
        self.work = folder / "work"
        self.work.mkdir()

    def package(self, name: str, version: str, text: str = "") -> Package:
        """Build a package."""
        return build(self.folder / f"{name}_{version}_{text}", name, version, text)

    def archived(self, package: Package) -> str:
        """Return the path of a package in the archive."""
        return f"archive/{TIMESTAMP}/{package.path}"

    def archive_packages(self, *packages: Package) -> None:
        """Put packages in the archive."""
        self.archive.files |= {self.archived(package): package.content for package in packages}

    def lock(self, *pins: Package) -> Path:
        """Write a lock."""
        file = self.folder / "test.lock"
        lines = [f"suite {SUITE}", f"snapshot {TIMESTAMP}", *(pin.pin for pin in pins)]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return file

    def run_fetch(self, lock: Path) -> subprocess.CompletedProcess[str]:
        """Run fetch.sh."""
        return programs.run([self.script, APT, lock], self.work, **self.environment)

    def fetch(self, *pins: Package) -> str:
        """Fetch pins, and return the warning."""
        done = self.run_fetch(self.lock(*pins))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuse(self, *pins: Package) -> str:
        """Check that fetching pins fails, and return the error message."""
        done = self.run_fetch(self.lock(*pins))
        assert done.returncode == 1
        assert not (self.work / "root").exists()
        return done.stderr

    @property
    def unpacked(self) -> dict[str, str]:
        """The texts in the unpacked packages, by package name."""
        return {file.parent.name: file.read_text("utf-8") for file in self.work.glob("root/usr/share/*/text")}

    @property
    def stale(self) -> str:
        """The content of the list of pins that were not used."""
        return (self.work / "stale").read_text("utf-8")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Mirror() as mirror, FileServer() as archive:
        yield Machine(tmp_path, mirror, archive)


def _refused_url() -> str:
    """Return a URL with a port that refuses connections."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_pins_that_the_mirror_serves_are_all_that_is_downloaded(machine: Machine) -> None:
    pins = [machine.package("alpha", "1.0"), machine.package("beta", "1:2.0+b1~deb13u1")]
    machine.mirror.publish(*pins)
    assert machine.fetch(*pins) == ""
    assert machine.unpacked == {"alpha": "1.0", "beta": "1:2.0+b1~deb13u1"}
    assert machine.stale == ""
    assert sorted(machine.mirror.requests) == sorted(pin.path for pin in pins)
    assert machine.archive.requests == []
    assert sorted(path.name for path in machine.work.iterdir()) == ["root", "stale"]


def test_the_control_fields_and_the_hash_of_every_package_are_written(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(pin)
    machine.fetch(pin)
    status = (machine.work / "root/var/lib/dpkg/status.d/alpha").read_text("utf-8")
    assert status == f"{pin.control}SHA256: {pin.sha256}\n"


def test_a_pin_that_left_the_mirror_comes_from_the_snapshot_of_the_lock(machine: Machine) -> None:
    served, gone = machine.package("alpha", "1.0"), machine.package("beta", "1.0")
    machine.mirror.publish(served, machine.package("beta", "2.0"))
    machine.archive_packages(gone)
    assert machine.fetch(served, gone) == ""
    assert machine.unpacked == {"alpha": "1.0", "beta": "1.0"}
    assert machine.stale == ""
    assert machine.archive.requests == [f"archive/{TIMESTAMP}/{gone.path}"]
    assert not set(INDEX) & set(machine.mirror.requests)


def test_a_pin_that_the_mirror_still_has_is_used_although_the_index_lists_a_newer_version(
    machine: Machine,
) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(machine.package("alpha", "2.0"))
    machine.mirror.files[pin.path] = pin.content
    assert machine.fetch(pin) == ""
    assert machine.unpacked == {"alpha": "1.0"}


def test_without_an_archive_the_current_version_is_used_with_a_warning(machine: Machine) -> None:
    served, gone = machine.package("alpha", "1.0"), machine.package("beta", "1.0")
    machine.mirror.publish(served, machine.package("beta", "2.0"))
    machine.environment["DEBIAN_SNAPSHOT"] = unreachable = _refused_url()
    warning = machine.fetch(served, gone)
    assert f"snapshot archive {unreachable}/{TIMESTAMP} serves these" in warning
    assert "  beta 1.0 (pinned): 2.0 (used)\n" in warning
    assert re.search(rf"{re.escape(gone.path)}  404 ", warning)
    assert re.search(rf"{re.escape(unreachable)}/\S+  (Could not|Unable to) connect to ", warning)
    assert "alpha" not in warning
    assert machine.unpacked == {"alpha": "1.0", "beta": "2.0"}
    assert machine.stale == "beta 1.0\n"


def test_current_versions_are_used_for_all_pins_if_none_is_served(machine: Machine) -> None:
    machine.mirror.publish(machine.package("alpha", "2.0"), machine.package("beta", "2.0"))
    pins = [machine.package("alpha", "1.0"), machine.package("beta", "1.0")]
    warning = machine.fetch(*pins)
    assert "  alpha 1.0 (pinned): 2.0 (used)\n  beta 1.0 (pinned): 2.0 (used)\n" in warning
    assert sorted(machine.archive.requests) == sorted(map(machine.archived, pins))
    assert machine.unpacked == {"alpha": "2.0", "beta": "2.0"}
    assert machine.stale == "alpha 1.0\nbeta 1.0\n"


def test_a_package_from_the_archive_with_another_hash_is_not_used(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(machine.package("alpha", "2.0"))
    machine.archive.files[machine.archived(pin)] = machine.package("alpha", "1.0", "tampered").content
    assert re.search(rf"{re.escape(machine.archived(pin))}  Hash Sum mismatch", machine.fetch(pin))
    assert machine.unpacked == {"alpha": "2.0"}
    assert machine.stale == "alpha 1.0\n"


@pytest.mark.parametrize("is_archived", [True, False])
def test_a_package_from_the_mirror_with_another_hash_is_not_used(machine: Machine, *, is_archived: bool) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(machine.package("alpha", "2.0"))
    machine.mirror.files[pin.path] = machine.package("alpha", "1.0", "tampered").content
    if is_archived:
        machine.archive_packages(pin)
    assert ("Hash Sum mismatch" in machine.fetch(pin)) is not is_archived
    assert machine.unpacked == {"alpha": "1.0" if is_archived else "2.0"}
    assert machine.stale == ("" if is_archived else "alpha 1.0\n")


def test_a_partially_downloaded_package_is_not_used(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(pin)
    machine.mirror.broken[pin.path] = 1
    machine.archive_packages(pin)
    assert machine.fetch(pin) == ""
    assert machine.unpacked == {"alpha": "1.0"}
    assert machine.archive.requests == [machine.archived(pin)]


def test_a_pin_that_is_the_current_version_is_not_stale_after_a_broken_connection(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(pin)
    machine.mirror.broken[pin.path] = 1
    machine.environment["DEBIAN_SNAPSHOT"] = _refused_url()
    assert machine.fetch(pin) == ""
    assert machine.unpacked == {"alpha": "1.0"}
    assert machine.stale == ""
    assert machine.mirror.requests.count(pin.path) == 2


def test_after_a_broken_connection_only_the_pin_that_is_gone_is_stale(machine: Machine) -> None:
    broken, gone = machine.package("alpha", "1.0"), machine.package("beta", "1.0")
    machine.mirror.publish(broken, machine.package("beta", "2.0"))
    machine.mirror.broken[broken.path] = 1
    warning = machine.fetch(broken, gone)
    assert re.findall(r"\S+ \S+ \(pinned\): \S+ \(used\)", warning) == ["beta 1.0 (pinned): 2.0 (used)"]
    assert machine.unpacked == {"alpha": "1.0", "beta": "2.0"}
    assert machine.stale == "beta 1.0\n"


def test_a_slow_failure_stops_the_downloads_from_the_archive_but_not_from_the_mirror(machine: Machine) -> None:
    machine.script = machine.folder / "fetch.sh"
    before, after = FETCH.read_text("utf-8").split("SECONDS - began < ARCHIVE_SECONDS")
    machine.script.write_text(f"{before}SECONDS - began < 0{after}", encoding="utf-8")  # Treat every failure as slow.
    machine.script.chmod(0o755)
    gone, archived, served = pins = [machine.package(name, "1.0") for name in ("alpha", "beta", "gamma")]
    machine.mirror.publish(machine.package("alpha", "2.0"), machine.package("beta", "2.0"), served)
    machine.archive_packages(archived)
    machine.fetch(*pins)
    assert machine.unpacked == {"alpha": "2.0", "beta": "2.0", "gamma": "1.0"}
    assert machine.archive.requests == [machine.archived(gone)]
    assert machine.mirror.requests.index(served.path) < machine.mirror.requests.index(INDEX[0])


@pytest.fixture(params=["mirror+file", "mirror+http"])
def mirror_list(machine: Machine, request: pytest.FixtureRequest) -> Iterator[None]:
    """Replace the mirror's URI by that of a mirror list, with a mirror that is down, then the real one."""
    content = f"# Mirrors\n\n{_refused_url()}/debian/\n{machine.mirror.url}/\tpriority:2 type:deb type:index\n"
    machine.archive.files["mirrors.list"] = content.encode()
    # apt names its index files after this path, so it must be short.
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir="/tmp") as file:
        file.write(content)
        file.flush()
        uris = {"mirror+file": f"mirror+file:{file.name}", "mirror+http": f"mirror+{machine.archive.url}/mirrors.list"}
        machine.environment["DEBIAN_MIRROR"] = uris[request.param] + "/"  # as apt prints URIs of sources
        yield


@pytest.mark.usefixtures("mirror_list")
def test_a_mirror_list_leads_to_a_mirror_that_serves_the_pin(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(machine.package("alpha", "2.0"))
    machine.mirror.files[pin.path] = pin.content
    assert machine.fetch(pin) == ""
    assert machine.unpacked == {"alpha": "1.0"}
    assert machine.mirror.requests == [pin.path]
    assert machine.archived(pin) not in machine.archive.requests
    assert sorted(path.name for path in machine.work.iterdir()) == ["root", "stale"]


@pytest.mark.usefixtures("mirror_list")
def test_a_mirror_list_leads_to_a_mirror_that_serves_the_current_version(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(machine.package("alpha", "2.0"))
    assert re.search(rf"{re.escape(machine.mirror.url)}/{re.escape(pin.path)}  404 ", machine.fetch(pin))
    assert machine.unpacked == {"alpha": "2.0"}


def test_a_mirror_list_that_cannot_be_read_is_named_in_the_error(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.environment["DEBIAN_MIRROR"] = f"mirror+file:{machine.folder}/missing"
    assert f"  cannot read the mirror list mirror+file:{machine.folder}/missing\n" in machine.refuse(pin)


def test_a_pin_comes_from_the_archive_if_the_mirror_list_cannot_be_read(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.environment["DEBIAN_MIRROR"] = f"mirror+file:{machine.folder}/missing"
    machine.archive_packages(pin)
    assert machine.fetch(pin) == ""
    assert machine.unpacked == {"alpha": "1.0"}


def test_reasons_are_reported_to_a_user_whose_apt_does_not_speak_english(machine: Machine) -> None:
    pin = machine.package("alpha", "1.0")
    machine.mirror.publish(machine.package("alpha", "2.0"))
    # This only has an effect on machines where apt's translations are installed.
    machine.environment |= {"LC_ALL": "C.UTF-8", "LANGUAGE": "de"}
    assert f"{pin.path}  404 " in machine.fetch(pin)


def test_a_rebuilt_package_of_the_same_version_is_stale(machine: Machine) -> None:
    machine.mirror.publish(machine.package("alpha", "1.0", "rebuilt"))
    assert "  alpha 1.0 (pinned): 1.0 (used)\n" in machine.fetch(machine.package("alpha", "1.0"))
    assert machine.unpacked == {"alpha": "rebuilt"}
    assert machine.stale == "alpha 1.0\n"


def test_a_current_version_that_differs_from_the_signed_index_is_an_error(machine: Machine) -> None:
    current = machine.package("alpha", "2.0")
    machine.mirror.publish(current)
    tampered = machine.package("alpha", "2.0", "tampered").content
    machine.mirror.files[current.path] = tampered.ljust(len(current.content))[: len(current.content)]
    error = machine.refuse(machine.package("alpha", "1.0"))
    assert "Hash Sum mismatch" in error
    assert "could not be downloaded (see above): alpha" in error


def test_an_index_signed_with_another_key_is_an_error(machine: Machine, tmp_path: Path) -> None:
    machine.mirror.publish(machine.package("alpha", "2.0"))
    with Mirror() as other:
        (tmp_path / "other").mkdir()
        machine.environment["DEBIAN_KEYRING"] = str(other.keyring(tmp_path / "other"))
    error = machine.refuse(machine.package("alpha", "1.0"))
    assert "InRelease" in error
    assert f"alpha 1.0\n  {machine.mirror.url}/pool/" in error
    assert f"the package index of suite {SUITE} could not be read (see above)" in error


def test_an_index_changed_after_signing_is_an_error(machine: Machine) -> None:
    machine.mirror.publish(machine.package("alpha", "2.0"))
    machine.mirror.files[INDEX[0]] = machine.mirror.files[INDEX[0]].replace(b"2020", b"2021")
    assert f"the package index of suite {SUITE} could not be read" in machine.refuse(machine.package("alpha", "1.0"))


def test_a_pin_whose_package_left_the_suite_is_an_error_that_names_it(machine: Machine) -> None:
    machine.mirror.publish(machine.package("alpha", "2.0"))
    error = machine.refuse(machine.package("alpha", "1.0"), machine.package("beta", "1.0"))
    assert f"Package beta is pinned in {machine.folder}/test.lock and no longer served" in error
    assert f"Suite {SUITE} no longer has a package of this name" in error
    assert f"{machine.folder}/test.packages" in error


def test_a_keyring_that_is_missing_is_an_error_that_names_it(machine: Machine) -> None:
    machine.mirror.publish(machine.package("alpha", "2.0"))
    machine.environment["DEBIAN_KEYRING"] = "/missing/keyring.gpg"
    assert "cannot read /missing/keyring.gpg: " in machine.refuse(machine.package("alpha", "1.0"))


@pytest.mark.parametrize("missing", ["suite", "snapshot", "alpha"])
def test_an_incomplete_lock_is_an_error_that_names_the_lock(machine: Machine, missing: str) -> None:
    lock = machine.lock(machine.package("alpha", "1.0"))
    lines = lock.read_text("utf-8").splitlines()
    lock.write_text("".join(f"{line}\n" for line in lines if not line.startswith(missing)), encoding="utf-8")
    done = machine.run_fetch(lock)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{lock} is malformed: it must contain ")
    assert machine.mirror.requests == []


@pytest.mark.parametrize(
    "line",
    [
        f"alpha 1.0 {HASH}",
        f"alpha 1.0 {HASH} pool/a.deb more",
        f"alpha 1.0 {HASH} dists/a.deb",
        f"alpha 1.0 {HASH} /pool/a.deb",
        f"alpha 1.0 {HASH} pool/../../a.deb",
        f"alpha 1.0 {HASH[1:]} pool/a.deb",
        f"alpha 1.0 {HASH.upper()} pool/a.deb",
        f"../alpha 1.0 {HASH} pool/a.deb",
        f"-alpha 1.0 {HASH} pool/a.deb",
        f"Alpha 1.0 {HASH} pool/a.deb",
    ],
)
def test_a_line_that_is_not_a_pin_is_an_error_that_names_it(machine: Machine, line: str) -> None:
    lock = machine.lock(machine.package("alpha", "1.0"))
    lock.write_text(f"{lock.read_text('utf-8')}{line}", encoding="utf-8")
    done = machine.run_fetch(lock)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{lock}: invalid line '{line}': must be 'name version sha256 path', match ")
    assert machine.mirror.requests == []


def test_the_last_pin_is_used_even_without_a_newline(machine: Machine) -> None:
    pins = [machine.package("alpha", "1.0"), machine.package("beta", "1.0")]
    machine.mirror.publish(*pins)
    lock = machine.lock(*pins)
    lock.write_text(lock.read_text("utf-8").rstrip("\n"), encoding="utf-8")
    assert machine.run_fetch(lock).returncode == 0
    assert machine.unpacked == {"alpha": "1.0", "beta": "1.0"}


def test_without_a_mirror_the_exit_status_is_69(machine: Machine) -> None:
    machine.environment["DEBIAN_MIRROR"] = ""
    done = machine.run_fetch(machine.lock(machine.package("alpha", "1.0")))
    assert done.returncode == 69
    assert "set DEBIAN_MIRROR" in done.stderr


class Workspace:
    """A workspace with one list of packages, which contains the package alpha."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._folder = machine.folder / "workspace/third_party/debian"
        self._folder.mkdir(parents=True)
        (self._folder / "test.packages").write_text(f"suite {SUITE}\nalpha  # why\n", encoding="utf-8")
        self.lock = self._folder / "test.lock"

    def write_lock(self) -> None:
        """Run lock.sh."""
        workspace = str(self._folder.parents[1])
        done = programs.run([LOCK], BUILD_WORKSPACE_DIRECTORY=workspace, **self._machine.environment)
        assert done.stdout == "1 packages pinned in third_party/debian/test.lock\n", done.stderr


def test_a_lock_has_suite_time_hash_and_path_and_can_be_fetched(machine: Machine) -> None:
    package = machine.package("alpha", "1:1.0")
    machine.mirror.publish(package)
    workspace = Workspace(machine)
    began = datetime.now(UTC).replace(microsecond=0)
    workspace.write_lock()
    suite, snapshot, pin = workspace.lock.read_text("utf-8").splitlines()
    assert suite == f"suite {SUITE}"
    assert began <= datetime.strptime(snapshot, "snapshot %Y%m%dT%H%M%SZ").replace(tzinfo=UTC) <= datetime.now(UTC)
    assert pin == package.pin
    done = machine.run_fetch(workspace.lock)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert machine.unpacked == {"alpha": "1:1.0"}


def test_a_lock_is_rewritten_only_if_a_package_changed(machine: Machine) -> None:
    package = machine.package("alpha", "1.0")
    machine.mirror.publish(package)
    workspace = Workspace(machine)
    old = f"suite {SUITE}\nsnapshot {TIMESTAMP}\n{package.pin}\n"
    workspace.lock.write_text(old, encoding="utf-8")
    workspace.write_lock()
    assert workspace.lock.read_text("utf-8") == old
    newer = machine.package("alpha", "2.0")
    machine.mirror.publish(newer)
    workspace.write_lock()
    assert TIMESTAMP not in workspace.lock.read_text("utf-8")
    assert newer.pin in workspace.lock.read_text("utf-8")


def test_a_lock_is_rewritten_if_only_the_suite_changed(machine: Machine) -> None:
    package = machine.package("alpha", "1.0")
    machine.mirror.publish(package)
    workspace = Workspace(machine)
    workspace.lock.write_text(f"suite bookworm\nsnapshot {TIMESTAMP}\n{package.pin}\n", encoding="utf-8")
    workspace.write_lock()
    suite, snapshot, pin = workspace.lock.read_text("utf-8").splitlines()
    assert suite == f"suite {SUITE}"
    assert snapshot != f"snapshot {TIMESTAMP}"
    assert pin == package.pin
