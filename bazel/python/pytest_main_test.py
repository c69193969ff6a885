"""Tests of the main module of every py_test."""

import os
import sys
from pathlib import Path

from hypothesis import settings

from testing import programs


def test_property_tests_have_the_same_examples_in_each_run_and_no_deadline() -> None:
    assert settings().derandomize
    assert settings().deadline is None


def test_a_crash_after_the_last_test_is_reported(tmp_path: Path) -> None:
    module = tmp_path / "crashing_test.py"
    module.write_text("import atexit, os\ndef test() -> None: atexit.register(os.abort)\n", encoding="utf-8")
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "XML_OUTPUT_FILE": str(tmp_path / "test.xml")}
    finished = programs.run([sys.executable, "bazel/python/pytest_main.py", module], TESTBRIDGE_TEST_ONLY="", **own)
    assert finished.returncode != 0
    assert "Fatal Python error: Aborted" in finished.stderr
