"""Tests of the Go rules: their programs, and the programs that they build."""

import os
import struct
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from testing import programs

COMPILE = Path(os.environ["COMPILE"]).absolute()
VET = Path(os.environ["VET"]).absolute()
CLIENT = Path(os.environ["CLIENT"])
FAILING = Path(os.environ["FAILING"]).absolute()
TESTMAIN = Path(os.environ["TESTMAIN"]).absolute()


def _compile(folder: Path, source: str) -> CompletedProcess[str]:
    """Compile x/x.go in a folder, as a GoCompile action does in its sandbox, to x.a."""
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "x.go").write_text(source, encoding="utf-8")
    (folder / "importcfg").touch()
    (folder / "embedcfg").write_text('{"Files": {}, "Patterns": {}}', encoding="utf-8")
    script = Path("bazel/go/compile.sh").absolute()
    arguments = [".", "importcfg", "embedcfg", "bazel-out", "calculator/x", "x.a", "x/x.go"]
    return programs.run([script, COMPILE, *arguments], folder)


def _vet(folder: Path) -> CompletedProcess[str]:
    """Run go vet on what _compile compiled."""
    script = Path("bazel/go/vet.sh").absolute()
    return programs.run([script, VET, ".", "importcfg", "calculator/x", "x.vet", "x/x.go"], folder)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("package x\n\nfunc F( {}\n", "x/x.go:3:9: syntax error: unexpected {"),
        ("package x\n\nvar Y int = true\n", "x/x.go:3:13: cannot use true"),
        ('package x\n\nimport "calculator/missing"\n', "x/x.go:3:8: could not import calculator/missing"),
    ],
)
def test_a_mistake_is_reported_with_its_file_and_line(tmp_path: Path, source: str, message: str) -> None:
    finished = _compile(tmp_path, source)
    assert finished.returncode != 0
    assert (finished.stdout + finished.stderr).startswith(message)


def test_what_go_vet_finds_fails(tmp_path: Path) -> None:
    assert _compile(tmp_path, "package x\n\nfunc F(y int) {\n\ty = y\n}\n").returncode == 0
    finished = _vet(tmp_path)
    assert finished.returncode != 0
    assert finished.stderr.endswith("x/x.go:4:2: self-assignment of y to y\n")


def test_correct_code_passes_go_vet(tmp_path: Path) -> None:
    assert _compile(tmp_path, "package x\n\nfunc F(y int) int {\n\treturn y\n}\n").returncode == 0
    assert _vet(tmp_path).returncode == 0
    assert (tmp_path / "x.vet").exists()


def test_a_package_compiles_to_the_same_bytes_in_every_folder(tmp_path: Path) -> None:
    source = 'package x\n\nfunc F() {\n\tpanic("here")\n}\n'
    for folder in ["a", "longer/folder"]:
        assert _compile(tmp_path / folder, source).returncode == 0
    compiled = (tmp_path / "a" / "x.a").read_bytes()
    assert b"x/x.go" in compiled
    assert compiled == (tmp_path / "longer/folder/x.a").read_bytes()


def test_a_program_is_static_and_has_no_path_of_this_machine() -> None:
    program = CLIENT.read_bytes()
    for path in [os.environ["TEST_SRCDIR"].partition("/bazel-out/")[0], "bazel-out", "sandbox/", "/external/golang"]:
        assert path.encode() not in program
    assert b"client/go/cli/main.go" in program
    # The program headers of ELF64: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html.
    (offset,) = struct.unpack_from("<Q", program, 32)
    size, count = struct.unpack_from("<HH", program, 54)
    types = [struct.unpack_from("<I", program, offset + index * size)[0] for index in range(count)]
    load, dynamic, interpreter = 1, 2, 3
    assert load in types
    assert not {dynamic, interpreter} & set(types)


def _run_tests(**environment: str) -> CompletedProcess[str]:
    return programs.run([FAILING], **environment)


def test_a_failed_test_fails_the_target_and_is_named() -> None:
    finished = _run_tests()
    assert finished.returncode == 1
    assert "--- FAIL: TestFails" in finished.stdout
    assert "failing_test.go:10: one is not two" in finished.stdout


def test_an_example_with_other_output_fails() -> None:
    finished = _run_tests(TESTBRIDGE_TEST_ONLY="Example")
    assert finished.returncode == 1
    assert "--- FAIL: Example_printsOne" in finished.stdout
    assert "TestFails" not in finished.stdout


def test_only_the_tests_that_the_filter_matches_run() -> None:
    finished = _run_tests(TESTBRIDGE_TEST_ONLY="Passes")
    assert finished.returncode == 0
    assert "--- PASS: TestPasses" in finished.stdout
    assert "TestFails" not in finished.stdout


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        ("absent", "matches none of the tests: TestFails, TestPasses, FuzzFails, Example_printsOne"),
        ("(", "is not a regular expression: error parsing regexp: missing closing ): `(`"),
    ],
)
def test_a_filter_that_selects_nothing_fails(filter_: str, message: str) -> None:
    finished = _run_tests(TESTBRIDGE_TEST_ONLY=filter_)
    assert (finished.stderr, finished.returncode) == (f"--test_filter={filter_} {message}\n", 2)


def test_the_seeds_of_a_fuzz_test_run() -> None:
    finished = _run_tests(TESTBRIDGE_TEST_ONLY="Fuzz")
    assert finished.returncode == 1
    assert "--- FAIL: FuzzFails/seed#0" in finished.stdout


def test_a_package_without_tests_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "x_test.go"
    source.write_text("package x\n\nfunc Testing() {}\n", encoding="utf-8")
    finished = programs.run([TESTMAIN, tmp_path / "main.go", "calculator/x", source])
    assert finished.returncode == 1
    assert finished.stderr == f"{source}: no function is a test: func TestX(t *testing.T)\n"
