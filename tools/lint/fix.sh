#!/usr/bin/env bash
# bazel run //tools/lint:fix: rewrites the files of the checkout as the linters want them, where a program can.
set -euo pipefail
ruff=$PWD/$1 buildifier=$PWD/$2 buf=$PWD/$3 biome=$PWD/$4
cd "${BUILD_WORKSPACE_DIRECTORY:?run me by bazel run}"
"$ruff" check --fix --no-cache --quiet . || true # what it cannot mend, the test reports
"$ruff" format --no-cache --quiet .
"$buildifier" -mode=fix -lint=fix -r .
"$buf" format --write
"$biome" check --write . || true # what it cannot mend, the test reports
echo "Done; git diff shows what was mended."
