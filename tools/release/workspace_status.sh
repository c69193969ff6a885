#!/usr/bin/env bash
# workspace_status.sh: tells Bazel of which source a release is made (--workspace_status_command), by git.
#
# It fails where others could not find it: changes that are not committed, a commit that was neither pushed nor tagged, an
# origin that is this machine's alone.
set -euo pipefail

die() {
  echo "release: $1" >&2
  exit 1
}

# source_url: prints where the source is, as a URL for a browser: without user, password and SSH's port.
source_url() {
  local origin
  origin=$(git remote get-url origin) || die 'the source has no home: git remote add origin URL'
  case $origin in
    https://*) sed -E 's,^https://([^/]*@)?,https://,; s,[?#].*,,' <<<"$origin" ;;
    ssh://*) sed -E 's,^ssh://([^/]*@)?([^/:]*)(:[0-9]+)?,https://\2,' <<<"$origin" ;;
    *@*:*) sed -E 's,^[^@]*@([^:]*):/?,https://\1/,' <<<"$origin" ;;
    *) die "origin is $(sed -E 's,//[^/]*@,//,' <<<"$origin"): accepted are https://…, ssh://… and USER@HOST:…; git remote set-url origin URL" ;;
  esac
}

# Whatever git was told not to look at, a build may read: ignored files (Terraform's state is in no target), submodules, files
# that are assumed unchanged.
changed=$(
  git status --porcelain --untracked-files=all --ignore-submodules=none --ignored=matching |
    grep -Ev '^!! (.*/)?(\.[^/]*/|__pycache__/|[^/]*\.tfstate[^/]*$)' || true
  git ls-files -v | grep '^[a-zS]' || true
)
[[ -z $changed ]] || die "commit first, or remove, so that others can build the same:
$changed"
# A checkout of one tag, as continuous integration makes it, has no branches.
[[ -n $(git branch --remotes --contains HEAD)$(git tag --points-at HEAD) ]] ||
  die 'push first: no branch of a remote has this commit, and it has no tag'
revision=$(git rev-parse HEAD)
source=$(source_url)
version=$(git describe --tags --always --abbrev=12) # as long on every machine
printf 'STABLE_%s\n' "REVISION $revision" "SOURCE $source" "VERSION $version"
