#!/usr/bin/env bash
# vet.sh VET PACKAGES IMPORTCFG IMPORTPATH OUTPUT SOURCE...: runs all analyzers of "go vet" on one Go package.
#
# The arguments are a subset of those of compile.sh. OUTPUT gets facts about the package, which nothing reads. The
# analyzers read a configuration like that of "go vet":
# https://pkg.go.dev/golang.org/x/tools/go/analysis/unitchecker#Config.
set -euo pipefail
vet=$1 packages=$2 importcfg=$3 importpath=$4 output=$5
shift 5
config=$(mktemp --suffix=.cfg)
trap 'rm -f "$config"' EXIT

# members MEMBER: prints a JSON member for each package that may be imported. MEMBER contains \1 for its import path, and
# \2 for the path of its archive.
members() { sed -E "s,^packagefile (.*)=(.*)$,$1," "$packages/importcfg" "$importcfg" | paste -sd ,; }

cat >"$config" <<END
{
  "Compiler": "gc",
  "GoFiles": [$(printf '"%s"\n' "$@" | paste -sd ,)],
  "ImportMap": {$(members '"\1": "\1"')},
  "ImportPath": "$importpath",
  "PackageFile": {$(members '"\1": "\2"')},
  "VetxOutput": "$output"
}
END
"$vet" "$config"
