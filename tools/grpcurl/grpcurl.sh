#!/usr/bin/env bash
# bazel run //tools/grpcurl -- ARGUMENT...: the real grpcurl, in the folder where you are.
set -euo pipefail
grpcurl=$PWD/$1
shift
cd "${BUILD_WORKING_DIRECTORY:?run me by bazel run}"
exec "$grpcurl" "$@"
