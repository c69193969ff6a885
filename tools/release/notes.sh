#!/usr/bin/env bash
# notes.sh TAG [CHANGELOG]: prints the release notes for TAG: the section of its version in CHANGELOG.md.
#
# Fails unless TAG is "v" and the newest version in the file, and no changes are listed as unreleased.
set -euo pipefail
tag=$1 changelog=${2:-$(dirname "${BASH_SOURCE[0]}")/../../CHANGELOG.md}

die() {
  echo "notes: $1" >&2
  exit 1
}

# section HEADING: prints the text below the first heading of level 2 that begins with HEADING.
section() {
  awk -v heading="## $1" '
    /^## / { found = ($0 == heading || index($0, heading " ") == 1); next }
    found { print }' "$changelog" | sed '/./,$!d' # without blank lines at the start
}

[[ $tag =~ ^v[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "the tag is $tag: must be v and three numbers, such as v1.2.3"
version=$(sed -nE '/^## Unreleased$/d; s/^## ([^ ]+).*/\1/p' "$changelog" | head -n 1)
[[ $version ]] || die "$changelog has no heading of a version, such as '## 1.2.3 - 2026-01-31'"
[[ $tag == "v$version" ]] || die "the tag is $tag, but the newest version in $changelog is $version"
[[ ! $(section Unreleased) ]] || die "$changelog lists unreleased changes: move them to the section of $version"
notes=$(section "$version")
[[ $notes ]] || die "the section of $version in $changelog is empty"
echo "$notes"
