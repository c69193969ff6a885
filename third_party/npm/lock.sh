#!/usr/bin/env bash
# bazel run //third_party/npm:lock: pins the dependencies of each package.json, with hashes, in its package-lock.json.
set -euo pipefail
node=$PWD/$1
npm=${node%/bin/node}/lib/node_modules/npm/bin/npm-cli.js
root=${BUILD_WORKSPACE_DIRECTORY:?run this script with bazel run}
for folder in third_party/npm third_party/npm/chromium third_party/npm/terraform; do
  cd "$root/$folder"
  # Omit the URLs from the lock, because each machine's own npm configuration chooses the registry.
  "$node" --use-system-ca "$npm" install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
    --legacy-peer-deps --no-audit --no-fund --no-update-notifier --loglevel=error
  echo "$(grep -c '"integrity"' package-lock.json) packages pinned in $folder/package-lock.json"
done
