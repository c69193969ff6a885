#!/usr/bin/env bash
# bazel run //tools/lint:fix: applies the automatic fixes of the linters to the checkout.
set -euo pipefail
ruff=$PWD/$1 buildifier=$PWD/$2 buf=$PWD/$3 biome=$PWD/$4 gofmt=${5:+$PWD/$5}
cd "${BUILD_WORKSPACE_DIRECTORY:?run this script with bazel run}"
"$ruff" check --fix --no-cache --quiet . || true # the test reports what remains
"$ruff" format --no-cache --quiet .
"$buildifier" -mode=fix -lint=fix -r .
"$buf" format --write
"$biome" check --write . || true # the test reports what remains
[[ ! $gofmt ]] || "$gofmt" -w .
echo "Done. git diff shows the changes."
