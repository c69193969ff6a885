"""The main module of every py_test: pytest, with the options of pyproject.toml, under Bazel."""

import sys

import pytest_bazel

if __name__ == "__main__":
    sys.exit(pytest_bazel.main(["--config-file=pyproject.toml", "--rootdir=.", *sys.argv[1:]]))
