#!/usr/bin/env bash
# bazel run //third_party/debian:lock: pins the newest versions that the mirror serves.
#
# NAME.packages lists a suite and packages of that suite. NAME.lock gets the same suite, the current time (UTC) to find
# these packages in a snapshot archive, and a line "name version sha256 path" for each package. A lock that already has
# this suite and the newest packages is not changed.
set -euo pipefail
# shellcheck source=tools/apt/apt.sh
source tools/apt/apt.sh
folder=${BUILD_WORKSPACE_DIRECTORY:?run this script with bazel run}/third_party/debian
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
now=$(date --utc +%Y%m%dT%H%M%SZ)

# pins FILE: prints the suite and the packages of a lock, or nothing if FILE does not exist.
pins() { grep -v '^snapshot ' "$1" 2>/dev/null || true; }

for list in "$folder"/*.packages; do
  name=$(basename "$list" .packages)
  mapfile -t packages < <(sed -E 's/ *#.*//; /^$/d; /^suite /d' "$list" | LC_ALL=C sort)
  suite=$(sed -n 's/^suite //p' "$list")
  apt_open "$work/$name" "$suite"
  printf '%s\n' "suite $suite" "snapshot $now" >"$work/lock"
  for package in "${packages[@]}"; do
    apt-cache "${APT[@]}" show --no-all-versions "$package" | awk -v package="$package" '
      /^[^ ]/ { field[$1] = $2 }
      END {
        if (!field["SHA256:"]) exit 1
        print package, field["Version:"], field["SHA256:"], field["Filename:"]
      }'
  done >>"$work/lock"
  [[ $(pins "$work/lock") == "$(pins "$folder/$name.lock")" ]] || mv "$work/lock" "$folder/$name.lock"
  echo "${#packages[@]} packages pinned in third_party/debian/$name.lock"
done
