#!/usr/bin/env bash
# lint.sh REGEX PREFIX PROGRAM ARGUMENT...: runs a linter on every file of the repository whose path (./a/b) matches
# REGEX. PREFIX is prepended to each path.
set -euo pipefail
regex=$1 prefix=$2
shift 2
export HOME=${TEST_TMPDIR:-$HOME} # some linters need a cache there
mapfile -t files < <(find -L . -type f -regextype posix-extended -regex "$regex" | LC_ALL=C sort)
if ((${#files[@]} == 0)); then
  echo "no file matches $regex, so this linter would never report anything" >&2
  exit 1
fi
echo "${#files[@]} files"
exec "$@" "${files[@]/#/$prefix}"
