#!/usr/bin/env bash
# packages.sh VERSION OUTPUT IMPORTPATH...: compiles the standard library and the packages with the given import paths,
# including everything that they import, from source: in the folder of the file VERSION, and in gopath/ next to it.
#
# Writes OUTPUT/IMPORTPATH.a for each package, and OUTPUT/importcfg, which names them for the compiler and the linker:
# https://pkg.go.dev/cmd/compile. No path of this machine is in the result, so it is the same on all machines.
set -euo pipefail
# Bazel's sandbox consists of symbolic links, which go:embed does not read. So read the source where they lead to.
GOROOT=$(dirname "$(readlink -f "$1")")
GOPATH=${GOROOT%/*}/gopath
output=$2
shift 2
GOCACHE=$(mktemp -d)
trap 'rm -rf "$GOCACHE"' EXIT
export GOROOT GOPATH GOCACHE
# The packages have no go.mod files. Nothing may be downloaded, and no configuration of the user may be read.
export GO111MODULE=off GOENV=off GOPROXY=off GOTOOLCHAIN=local
"$GOROOT/bin/go" list -deps -export -trimpath -f '{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}' std "$@" >"$GOCACHE/list"
while read -r importpath archive; do
  mkdir -p "$output/$(dirname "$importpath")"
  cp "$archive" "$output/$importpath.a"
  echo "packagefile $importpath=$output/$importpath.a"
done <"$GOCACHE/list" >"$output/importcfg"
