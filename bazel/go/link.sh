#!/usr/bin/env bash
# link.sh LINK PACKAGES IMPORTCFG MAIN OUTPUT: links the package main and all packages that it imports to a program.
#
# PACKAGES/importcfg and IMPORTCFG name these packages. The program has no symbol table and no debugging information,
# without which stack traces are still complete.
set -euo pipefail
link=$1 packages=$2 importcfg=$3 main=$4 output=$5
exec "$link" -o "$output" -importcfg <(cat "$packages/importcfg" "$importcfg") -buildid= -buildmode=exe -s -w "$main"
