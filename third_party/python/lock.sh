#!/usr/bin/env bash
# bazel run //third_party/python:lock: pins what requirements.in asks for, with hashes, in requirements.lock.
#
# What is pinned stays as it is where it still fits; "-- --upgrade" takes the newest of everything, "-- --upgrade-package
# NAME" of one package.
set -euo pipefail
uv=$PWD/$1 python=$PWD/$2
shift 2
cd "${BUILD_WORKSPACE_DIRECTORY:?run me by bazel run}/third_party/python"
# One lock for every platform, and for every Python from the oldest that may stand in for ours.
"$uv" pip compile requirements.in --output-file=requirements.lock --quiet \
  --universal --python-version=3.11 --generate-hashes \
  --python="$python" --no-python-downloads --system-certs \
  --custom-compile-command='bazel run //third_party/python:lock' "$@"
echo "$(grep -c == requirements.lock) packages pinned in third_party/python/requirements.lock"
