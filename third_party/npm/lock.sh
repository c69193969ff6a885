#!/usr/bin/env bash
# bazel run //third_party/npm:lock: pins what each package.json asks for, with hashes, in the package-lock.json beside it.
set -euo pipefail
node=$PWD/$1
npm=${node%/bin/node}/lib/node_modules/npm/bin/npm-cli.js
root=${BUILD_WORKSPACE_DIRECTORY:?run me by bazel run}
for folder in third_party/npm third_party/npm/chromium third_party/npm/terraform; do
  cd "$root/$folder"
  # Without the addresses: which registry serves the packages is for each machine's own configuration to say.
  "$node" --use-system-ca "$npm" install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
    --legacy-peer-deps --no-audit --no-fund --no-update-notifier --loglevel=error
  echo "$(grep -c '"integrity"' package-lock.json) packages pinned in $folder/package-lock.json"
done
