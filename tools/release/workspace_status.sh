#!/usr/bin/env bash
# workspace_status.sh: tells Bazel of which source a release is made (--workspace_status_command), by git.
#
# It fails where that could not be found again: changes that are not committed, an origin that nobody else can reach.
set -euo pipefail

die() {
  echo "release: $1" >&2
  exit 1
}

# source_url: prints where the source is, as a URL without the password that one may have.
source_url() {
  local origin
  origin=$(git remote get-url origin) || die 'the source has no home: git remote add origin URL'
  case $origin in
    https://*) sed -E 's,^https://[^/@]*@,https://,' <<<"$origin" ;;
    git@*:*) sed -E 's,^git@([^:]*):,https://\1/,' <<<"$origin" ;;
    ssh://git@*) sed -E 's,^ssh://git@,https://,' <<<"$origin" ;;
    *) die "origin is $origin: accepted are https://…, ssh://git@… and git@…:…" ;;
  esac
}

changed=$(git status --porcelain)
[[ -z $changed ]] || die "commit first, so that others can build the same; changed are:
$changed"
revision=$(git rev-parse HEAD)
source=$(source_url)
version=$(git describe --tags --always)
printf 'STABLE_%s\n' "REVISION $revision" "SOURCE $source" "VERSION $version"
