#!/usr/bin/env bash
# bazel run //third_party/python:lock: pins the dependencies in requirements.in, with hashes, in requirements.lock.
#
# Pinned versions that still satisfy requirements.in are kept. "-- --upgrade" upgrades all packages to the newest
# versions, and "-- --upgrade-package NAME" upgrades one package.
set -euo pipefail
uv=$PWD/$1 python=$PWD/$2
shift 2
cd "${BUILD_WORKSPACE_DIRECTORY:?run this script with bazel run}/third_party/python"
# The lock is for all platforms, and for all Python versions from the oldest that may be used instead of Debian's.
"$uv" pip compile requirements.in --output-file=requirements.lock --quiet \
  --universal --python-version=3.11 --generate-hashes \
  --python="$python" --no-python-downloads --system-certs \
  --custom-compile-command='bazel run //third_party/python:lock' "$@"
echo "$(grep -c == requirements.lock) packages pinned in third_party/python/requirements.lock"
