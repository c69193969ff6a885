"""Tests of the main module of every ts_test, with the environment that Bazel sets."""

import os
from pathlib import Path
from subprocess import CompletedProcess
from xml.etree import ElementTree as ET

import pytest

from testing import programs

TWO = """
import test from "node:test";
import assert from "node:assert";
test("adds", () => assert.equal(1 + 1, 2));
test("subtracts", () => assert.equal(1 - 1, 0));
"""
FAILING = TWO.replace("2)", "3)")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Return the path at which a test writes a test module."""
    return tmp_path / "module.mjs"


def _run(module: Path, **environment: str) -> CompletedProcess[str]:
    usual = {"XML_OUTPUT_FILE": "", "TESTBRIDGE_TEST_ONLY": ""}
    return programs.run([os.environ["NODE"], "bazel/ts/test_main.mjs", module], **(usual | environment))


def test_a_module_whose_tests_pass_passes(module: Path) -> None:
    module.write_text(TWO, encoding="utf-8")
    finished = _run(module)
    assert finished.returncode == 0, finished.stderr
    assert "✔ adds" in finished.stdout


def test_a_module_with_a_failing_test_fails(module: Path) -> None:
    module.write_text(FAILING, encoding="utf-8")
    finished = _run(module)
    assert finished.returncode == 1
    assert "✖ adds" in finished.stdout


def test_a_filter_runs_only_matching_tests(module: Path) -> None:
    module.write_text(FAILING, encoding="utf-8")
    finished = _run(module, TESTBRIDGE_TEST_ONLY="subtracts")
    assert finished.returncode == 0, finished.stdout
    assert "adds" not in finished.stdout.replace("subtracts", "")


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("", {}, " contains no tests"),
        (TWO, {"TESTBRIDGE_TEST_ONLY": "divides"}, "no test name matches divides"),
        ("throw new Error('no module');", {}, ""),
        ("import {describe} from 'node:test'; describe('x', () => {});", {}, "no test passed"),
        (TWO.replace('s", ', 's", {skip: true}, '), {}, "no test passed"),
    ],
    ids=["no test", "no match for the filter", "a module that throws", "an empty suite", "all skipped"],
)
def test_a_run_without_a_passed_test_fails(module: Path, text: str, environment: dict[str, str], message: str) -> None:
    module.write_text(text, encoding="utf-8")
    finished = _run(module, **environment)
    assert finished.returncode == 1
    assert message in finished.stderr


def test_the_xml_report_has_every_test(module: Path, tmp_path: Path) -> None:
    module.write_text(FAILING, encoding="utf-8")
    _run(module, XML_OUTPUT_FILE=str(tmp_path / "report.xml"))
    cases = ET.parse(tmp_path / "report.xml").getroot().iter("testcase")
    assert {case.get("name"): case.find("failure") is not None for case in cases} == {"adds": True, "subtracts": False}
