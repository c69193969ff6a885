"""Tests of ./bazelw: which Bazel it runs, and that it replaces itself with that Bazel.

The programs on PATH are fakes, and the toolbox that it makes contains a shell and one fake. So the tests really make
and enter a toolbox, but cheaply. Running these tests with the real toolbox shows that it can build this repository.
"""

import hashlib
import shutil
import signal
import subprocess
from concurrent import futures
from pathlib import Path

import pytest

from testing import programs, timeouts

# The script of a fake program: it prints its name and its arguments, and exits with a distinctive status.
REPORT_ARGUMENTS = 'echo "${0##*/} $# $*"; exit 5'


def _reporting(version: str) -> str:
    return f'[ "$1" != --version ] || {{ echo "bazel {version}"; exit; }}; {REPORT_ARGUMENTS}'


MAKE_TOOLBOX = """#!/bin/sh
set -eu
usr=$1.unfinished/usr
mkdir -p "$usr/bin"
programs='/bin/sh /bin/sleep /bin/unshare'
for file in $programs $(ldd $programs | grep -oE '/(usr/)?lib[^ ]+' | sort -u); do
  mkdir -p "$usr/$(dirname "${file#/usr}")"
  cp -L "$file" "$usr/${file#/usr}"
done
cp "$(dirname "$0")/packages" "$usr/bin/bazel"
echo made >>"$(dirname "$1")/made"
mv "$1.unfinished" "$1"
"""


class Checkout:
    """A checkout in a folder with a space in its name, with only basic programs on PATH."""

    def __init__(self, home: Path) -> None:
        self.root = home / "my checkout"
        self.path = home / "bin"
        self.cache = home / "cache with a space"
        self.toolbox = self.root / "tools/toolbox"
        for folder in (self.path, self.toolbox, self.root / "tools/apt", self.root / "some/package"):
            folder.mkdir(parents=True)
        for file in ("bazelw", ".bazelversion", "MODULE.bazel", "tools/apt/apt.sh"):
            shutil.copy(file, self.root / file)
        self._write(self.toolbox / "make.sh", MAKE_TOOLBOX)
        self._write(self.toolbox / "unneeded", "")
        self.put_in_toolbox(REPORT_ARGUMENTS)

    def _write(self, program: Path, script: str) -> Path:
        program.write_text(script, encoding="utf-8")
        program.chmod(0o755)
        return program

    def put_on_path(self, name: str, script: str) -> Path:
        return self._write(self.path / name, f"#!/bin/sh\n{script}\n")

    def put_in_toolbox(self, script: str) -> None:
        self._write(self.toolbox / "packages", f"#!/bin/sh\n{script}\n")

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self.path}:{self._basic_programs()}", "XDG_CACHE_HOME": str(self.cache)} | more

    def _basic_programs(self) -> Path:
        # The programs of this machine, without any bazel, and with a fake apt-get and dpkg-deb.
        folder = self.root.parent / "basic"
        if not folder.exists():
            folder.mkdir()
            for program in Path("/usr/bin").iterdir():
                if not program.name.startswith(("bazel", "apt-get", "dpkg-deb")):
                    (folder / program.name).symlink_to(program)
            for name in ("apt-get", "dpkg-deb"):
                self._write(folder / name, "#!/bin/sh\nexit 1\n")
        return folder

    def bazelw(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return programs.run([self.root / "bazelw", *arguments], **self.environment(**environment))

    def times_made(self) -> int:
        return len((self.cache / "bazelw/made").read_text(encoding="utf-8").splitlines())


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_variable_bazel_takes_precedence(checkout: Checkout) -> None:
    checkout.put_on_path("bazelisk", REPORT_ARGUMENTS)
    mine = checkout.put_on_path("mine", REPORT_ARGUMENTS)
    finished = checkout.bazelw("build", "//a b", BAZEL=str(mine))
    assert (finished.stdout, finished.returncode) == ("mine 2 build //a b\n", 5)


def test_bazelisk_is_preferred_to_bazel(checkout: Checkout) -> None:
    checkout.put_on_path("bazel", _reporting("7.7.1"))
    checkout.put_on_path("bazelisk", REPORT_ARGUMENTS)
    assert checkout.bazelw("version").stdout == "bazelisk 1 version\n"


def test_a_bazel_of_the_same_major_version_is_used(checkout: Checkout) -> None:
    checkout.put_on_path("bazel", _reporting("7.1.0"))
    assert checkout.bazelw("test", "//...").stdout == "bazel 2 test //...\n"


def test_a_bazel_of_another_major_version_is_skipped_with_a_message_unless_forced(checkout: Checkout) -> None:
    checkout.put_on_path("bazel", _reporting("8.0.0"))
    finished = checkout.bazelw("build")
    assert "it is 'bazel 8.0.0', but this project needs Bazel 7." in finished.stderr
    assert finished.stdout == "bazel 2 --bazelrc=/usr/share/bazel/toolbox.bazelrc build\n"
    assert checkout.bazelw("build", BAZELW="system").stdout == "bazel 1 build\n"


def test_without_a_bazel_a_toolbox_is_made_once_and_entered(checkout: Checkout) -> None:
    for _ in range(2):
        finished = checkout.bazelw("build", "//x y")
        assert finished.stdout == "bazel 3 --bazelrc=/usr/share/bazel/toolbox.bazelrc build //x y\n"
        assert finished.returncode == 5
    assert checkout.times_made() == 1


def test_the_toolbox_can_be_forced(checkout: Checkout) -> None:
    checkout.put_on_path("bazelisk", REPORT_ARGUMENTS)
    assert checkout.bazelw("build", BAZELW="toolbox").stdout.startswith("bazel 2 --bazelrc")


def test_a_changed_toolbox_is_made_again(checkout: Checkout) -> None:
    checkout.bazelw("info")
    checkout.put_in_toolbox("echo new")
    assert checkout.bazelw("info").stdout == "new\n"
    assert checkout.times_made() == 2


def test_concurrent_runs_make_one_toolbox(checkout: Checkout) -> None:
    bazelw, environment = checkout.root / "bazelw", checkout.environment()
    with futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: programs.run([bazelw, "info"], **environment).stdout, range(4)))
    assert answers == ["bazel 2 --bazelrc=/usr/share/bazel/toolbox.bazelrc info\n"] * 4
    assert checkout.times_made() == 1


def _toolbox_name(checkout: Checkout) -> str:
    files = [checkout.toolbox / name for name in ("make.sh", "packages", "unneeded")]
    content = b"".join(file.read_bytes() for file in [*files, checkout.root / "tools/apt/apt.sh"])
    modules = (checkout.root / "MODULE.bazel").read_bytes().splitlines(keepends=True)
    content += b"".join(line for line in modules if line.startswith(b"bazel_dep"))
    return "toolbox-" + hashlib.sha256(content).hexdigest()[:12]


def test_a_toolbox_is_made_again_after_a_failure(checkout: Checkout) -> None:
    make = checkout.toolbox / "make.sh"
    make.write_text('#!/bin/sh\nmkdir "$1.half" && exit 3\n', encoding="utf-8")
    failed = checkout.bazelw("build")
    assert failed.returncode == 1
    assert "cannot install the toolbox" in failed.stderr
    make.write_text('#!/bin/sh\n[ ! -e "$1.half" ] || exit 3\n' + MAKE_TOOLBOX, encoding="utf-8")
    (checkout.cache / "bazelw" / f"{_toolbox_name(checkout)}.half").mkdir()
    assert checkout.bazelw("build").returncode == 5


def test_bazel_replaces_the_process_of_the_script(checkout: Checkout) -> None:
    checkout.put_in_toolbox("trap 'echo told; exit 6' TERM; echo $$; sleep 60 & wait")
    with programs.started(["./bazelw"], cwd=checkout.root, env=checkout.environment(), stdout=subprocess.PIPE) as call:
        assert programs.read_until(call) == f"{call.pid}\n"
        call.send_signal(signal.SIGTERM)
        assert programs.read_until(call) == "told\n"
        assert call.wait(timeouts.SECONDS) == 6


# A fake `bazel run --script_path`: the script that it writes prints the number of programs in /usr/bin, its PID and its
# arguments.
WRITE_SCRIPT = """
[ "$1 $2 $3 $4" = "--bazelrc=/usr/share/bazel/toolbox.bazelrc --output_base /x run" ] || exit 9
until [ "${1%%=*}" = --script_path ]; do shift; done
script=${1#*=}
shift
[ "$*" != fail ] || exit 7
printf '%s\\n' '#!/bin/bash' "exec sh -c 'ls /usr/bin | grep -c . && echo \\$\\$ \\$0 && exit 5' '$*'" >"$script"
"""


def test_bazel_run_starts_the_program_outside_the_toolbox(checkout: Checkout) -> None:
    checkout.put_in_toolbox(WRITE_SCRIPT)
    with programs.started(
        ["./bazelw", "--output_base", "/x", "run", "//x y"],
        cwd=checkout.root,
        env=checkout.environment(TMPDIR=str(checkout.root)),
        stdout=subprocess.PIPE,
    ) as call:
        programs_seen, reporter = call.communicate(timeout=timeouts.SECONDS)[0].splitlines()
    assert int(programs_seen) > len(list((checkout.cache / "bazelw" / _toolbox_name(checkout) / "usr/bin").iterdir()))
    assert reporter == f"{call.pid} //x y"
    assert call.returncode == 5
    assert not list(checkout.root.glob("tmp.*"))


def test_bazel_run_does_not_start_a_program_that_cannot_be_built(checkout: Checkout) -> None:
    checkout.put_in_toolbox(WRITE_SCRIPT)
    finished = checkout.bazelw("--output_base", "/x", "run", "fail", TMPDIR=str(checkout.root))
    assert (finished.stdout, finished.returncode) == ("", 7)
    assert not list(checkout.root.glob("tmp.*"))


@pytest.mark.parametrize("option", ["--norun", "--script_path=mine"])
def test_bazel_run_without_starting_the_program_is_left_to_bazel(checkout: Checkout, option: str) -> None:
    reported = f"bazel 4 --bazelrc=/usr/share/bazel/toolbox.bazelrc run {option} //x\n"
    assert checkout.bazelw("run", option, "//x").stdout == reported


def test_a_signal_during_bazel_run_ends_the_build(checkout: Checkout) -> None:
    checkout.put_in_toolbox("trap 'echo told; exit 6' TERM; echo building; sleep 60 & wait")
    environment = checkout.environment(TMPDIR=str(checkout.root))
    with programs.started(
        ["./bazelw", "run", "//x"], cwd=checkout.root, env=environment, stdout=subprocess.PIPE
    ) as call:
        assert programs.read_until(call) == "building\n"
        call.send_signal(signal.SIGTERM)
        assert programs.read_until(call) == "told\n"
        assert call.wait(timeouts.SECONDS) == 6
    assert not list(checkout.root.glob("tmp.*"))


def test_the_toolbox_has_a_utf8_locale(checkout: Checkout) -> None:
    checkout.put_in_toolbox('echo "$LC_ALL"')
    assert checkout.bazelw("info", LC_ALL="en_US.UTF-8").stdout == "C.UTF-8\n"


def test_the_script_can_be_called_from_any_folder_and_through_a_link(checkout: Checkout) -> None:
    checkout.put_in_toolbox('echo "$PWD"')
    link = checkout.root.parent / "link"
    link.symlink_to(checkout.root / "bazelw")
    package = checkout.root / "some/package"
    for name in ("../../bazelw", link):
        finished = programs.run([name], folder=package, **checkout.environment())
        assert finished.stdout == f"{package}\n"


@pytest.mark.parametrize("name", ["bazel", "bazelisk"])
def test_a_link_to_the_script_named_bazel_does_not_call_itself(checkout: Checkout, name: str) -> None:
    (checkout.path / name).symlink_to(checkout.root / "bazelw")
    assert checkout.bazelw("info").stdout == "bazel 2 --bazelrc=/usr/share/bazel/toolbox.bazelrc info\n"


def test_a_relative_cache_folder_is_ignored(checkout: Checkout) -> None:
    assert checkout.bazelw("info", XDG_CACHE_HOME="here", HOME=str(checkout.cache)).returncode == 5
    assert (checkout.cache / ".cache/bazelw/made").exists()


def test_an_unwritable_cache_is_a_one_line_error(checkout: Checkout) -> None:
    checkout.cache.write_text("a file where a folder should be", encoding="utf-8")
    finished = checkout.bazelw("info")
    assert finished.returncode == 1
    assert (
        finished.stderr == f"bazelw: cannot write to {checkout.cache}/bazelw; set XDG_CACHE_HOME to a writable folder\n"
    )


def test_a_checkout_with_a_non_ascii_path_is_a_one_line_error(checkout: Checkout) -> None:
    elsewhere = checkout.root.rename(checkout.root.with_name("Téléchargements"))
    finished = programs.run([elsewhere / "bazelw"], **checkout.environment())
    assert finished.returncode == 1
    assert "needs an ASCII path" in finished.stderr


def test_without_bazel_and_apt_the_error_suggests_bazelisk(checkout: Checkout) -> None:
    for program in ("bash", "cat", "cut", "dirname", "env", "flock", "grep", "id", "mkdir", "readlink", "sha256sum"):
        (checkout.path / program).symlink_to(f"/usr/bin/{program}")
    finished = checkout.bazelw("build", PATH=str(checkout.path))
    assert finished.returncode == 1
    assert "no usable bazel and no apt on PATH: install bazelisk" in finished.stderr


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("BAZELW", "sytem", "BAZELW=sytem: must be 'system' or 'toolbox'"),
        ("BAZELW", "system", "neither bazelisk nor bazel is on PATH"),
        ("BAZEL", "/no/bazel", "BAZEL=/no/bazel: no such program"),
    ],
)
def test_an_unusable_bazel_setting_is_a_one_line_error(
    checkout: Checkout, variable: str, value: str, complaint: str
) -> None:
    finished = checkout.bazelw("build", **{variable: value})
    assert finished.returncode == 1
    assert complaint in finished.stderr
    assert finished.stderr.count("\n") == 1
