#!/usr/bin/env bash
# compile.sh COMPILE PACKAGES IMPORTCFG BIN_DIR IMPORTPATH OUTPUT SOURCE...: compiles one Go package.
#
# PACKAGES/importcfg and IMPORTCFG name the packages that it may import. In the output, and thus in stack traces, the path
# of a source is relative to the repository's root, or to BIN_DIR if Bazel generates it.
set -euo pipefail
compile=$1 packages=$2 importcfg=$3 bin_dir=$4 importpath=$5 output=$6
shift 6
exec "$compile" -p "$importpath" -o "$output" -importcfg <(cat "$packages/importcfg" "$importcfg") \
  -trimpath "$PWD/$bin_dir=>;$PWD=>" -buildid= -complete -nolocalimports -pack -- "$@"
