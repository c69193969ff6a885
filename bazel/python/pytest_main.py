"""The main module of every py_test: pytest, with the options of pyproject.toml, under Bazel."""

import faulthandler
import sys

import pytest_bazel

if __name__ == "__main__":
    faulthandler.enable()  # pytest's own ends with its tests, and says nothing of a crash in what is cleared up after
    sys.exit(pytest_bazel.main(["--config-file=pyproject.toml", "--rootdir=.", *sys.argv[1:]]))
