"""The main module of every py_test: runs pytest under Bazel, with the options of pyproject.toml."""

import faulthandler
import sys

import pytest_bazel

if __name__ == "__main__":
    faulthandler.enable()  # pytest's own is disabled after the tests, and misses crashes during exit
    sys.exit(pytest_bazel.main(["--config-file=pyproject.toml", "--rootdir=.", *sys.argv[1:]]))
