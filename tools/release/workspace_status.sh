#!/usr/bin/env bash
# workspace_status.sh: prints the source of a release, from git, for Bazel's --workspace_status_command.
#
# It fails if others could not get this source: if there are uncommitted changes, if the commit is neither pushed nor
# tagged, or if the origin is not a remote URL. The variable BUILDER_ID may name the builder, for the provenance.
set -euo pipefail

die() {
  echo "release: $1" >&2
  exit 1
}

# source_url: prints the origin as a URL for a browser, without user, password, SSH port, query and fragment.
source_url() {
  local origin
  origin=$(git remote get-url origin) || die 'there is no remote "origin": run git remote add origin URL'
  case $origin in
    https://*) sed -E 's,^https://([^/]*@)?,https://,; s,[?#].*,,' <<<"$origin" ;;
    ssh://*) sed -E 's,^ssh://([^/]*@)?([^/:]*)(:[0-9]+)?,https://\2,' <<<"$origin" ;;
    *@*:*) sed -E 's,^[^@]*@([^:]*):/?,https://\1/,' <<<"$origin" ;;
    *) die "origin is $(sed -E 's,//[^/]*@,//,' <<<"$origin"): must be https://…, ssh://… or USER@HOST:…; set it with git remote set-url" ;;
  esac
}

# Include the files that git is configured to hide, since a build may read them: ignored files (except Terraform's
# state, which no target contains, hidden folders and __pycache__), submodules, and files that are assumed unchanged.
changed=$(
  git status --porcelain --untracked-files=all --ignore-submodules=none --ignored=matching |
    grep -Ev '^!! (.*/)?(\.[^/]*/|__pycache__/|[^/]*\.tfstate[^/]*$)' || true
  git ls-files -v | grep '^[a-zS]' || true
)
[[ -z $changed ]] || die "commit or remove these files, so that others can build the same image:
$changed"
# A checkout of a single tag, as in continuous integration, has no branches.
[[ -n $(git branch --remotes --contains HEAD)$(git tag --points-at HEAD) ]] ||
  die 'push first: this commit is not on a remote branch and has no tag'
[[ ${BUILDER_ID-builder:} =~ ^[a-z][a-z0-9+.-]*:[^[:space:]]*$ ]] ||
  die "BUILDER_ID is $BUILDER_ID: must be a URI, such as https://example.com/build-service"
revision=$(git rev-parse HEAD)
source=$(source_url)
version=$(git describe --tags --always --abbrev=12) # the same length on every machine
printf 'STABLE_%s\n' "REVISION $revision" "SOURCE $source" "VERSION $version" ${BUILDER_ID+"BUILDER $BUILDER_ID"}
