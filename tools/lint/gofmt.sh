#!/usr/bin/env bash
# gofmt.sh GOFMT FILE...: prints what gofmt would change. Fails if that is anything, which gofmt itself does not.
set -euo pipefail
gofmt=$1
shift
changes=$("$gofmt" -d "$@")
[[ ! $changes ]] || {
  echo "$changes"
  echo "to apply these changes: ./bazelw run //tools/lint:fix"
  exit 1
}
