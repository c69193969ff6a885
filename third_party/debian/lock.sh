#!/usr/bin/env bash
# bazel run //third_party/debian:lock: pins the newest versions that the mirror serves of the packages in ./packages.
set -euo pipefail
# shellcheck source=tools/apt/apt.sh
source tools/apt/apt.sh
readonly SUITE=trixie
folder=${BUILD_WORKSPACE_DIRECTORY:?run me by bazel run}/third_party/debian
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mapfile -t packages < <(sed -E 's/#.*//; /^$/d' "$folder/packages" | LC_ALL=C sort)
apt_open "$work" "$SUITE"
for package in "${packages[@]}"; do
  apt-cache "${APT[@]}" show --no-all-versions "$package" |
    awk -v package="$package" '/^Version:/ { v = $2 } /^SHA256:/ { s = $2 } END { if (!s) exit 1; print package, v, s }'
done >"$work/lock"
mv "$work/lock" "$folder/$SUITE.lock"
echo "${#packages[@]} packages pinned in third_party/debian/$SUITE.lock"
