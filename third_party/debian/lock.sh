#!/usr/bin/env bash
# bazel run //third_party/debian:lock: pins the newest versions that the mirror serves. A list NAME.packages names a suite and
# packages of it; NAME.lock has the same suite, and a line "name version sha256" for each.
set -euo pipefail
# shellcheck source=tools/apt/apt.sh
source tools/apt/apt.sh
folder=${BUILD_WORKSPACE_DIRECTORY:?run me by bazel run}/third_party/debian
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for list in "$folder"/*.packages; do
  name=$(basename "$list" .packages)
  mapfile -t packages < <(sed -E 's/#.*//; /^$/d; /^suite /d' "$list" | LC_ALL=C sort)
  suite=$(sed -n 's/^suite //p' "$list")
  apt_open "$work/$name" "$suite"
  echo "suite $suite" >"$work/lock"
  for package in "${packages[@]}"; do
    apt-cache "${APT[@]}" show --no-all-versions "$package" |
      awk -v package="$package" '/^Version:/ { v = $2 } /^SHA256:/ { s = $2 } END { if (!s) exit 1; print package, v, s }'
  done >>"$work/lock"
  mv "$work/lock" "$folder/$name.lock"
  echo "${#packages[@]} packages pinned in third_party/debian/$name.lock"
done
