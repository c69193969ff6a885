#!/usr/bin/env bash
# bazel run //third_party/npm:lock: pins what package.json asks for, with hashes, in package-lock.json.
set -euo pipefail
node=$PWD/$1
npm=${node%/bin/node}/lib/node_modules/npm/bin/npm-cli.js
cd "${BUILD_WORKSPACE_DIRECTORY:?run me by bazel run}/third_party/npm"
# Without the addresses: which registry serves the packages is for each machine's own configuration to say.
"$node" --use-system-ca "$npm" install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
  --no-audit --no-fund --no-update-notifier --loglevel=error
echo "$(grep -c '"integrity"' package-lock.json) packages pinned in third_party/npm/package-lock.json"
