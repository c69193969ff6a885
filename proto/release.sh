#!/usr/bin/env bash
# bazel run //proto:release: records the API of the protos in proto/released.yaml. Later changes must be compatible with it.
set -euo pipefail
buf=$PWD/$1
cd "${BUILD_WORKSPACE_DIRECTORY:?run this script with bazel run}"
"$buf" build --exclude-source-info --output=proto/released.yaml
echo "The current API is now the released one. git diff proto/released.yaml shows what has changed."
