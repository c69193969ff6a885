#!/usr/bin/env bash
# bazel run //tools/grpcurl -- ARGUMENT...: runs grpcurl in the current folder.
set -euo pipefail
grpcurl=$PWD/$1
shift
cd "${BUILD_WORKING_DIRECTORY:?run this script with bazel run}"
exec "$grpcurl" "$@"
