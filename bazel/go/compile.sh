#!/usr/bin/env bash
# compile.sh COMPILE PACKAGES IMPORTCFG EMBEDCFG BIN_DIR IMPORTPATH OUTPUT SOURCE...: compiles one Go package.
#
# PACKAGES/importcfg and IMPORTCFG name the packages that it may import, and EMBEDCFG the files that it may embed. In the
# output, and thus in stack traces, the path of a source is relative to the repository's root, or to BIN_DIR if Bazel
# generates it.
set -euo pipefail
compile=$1 packages=$2 importcfg=$3 embedcfg=$4 bin_dir=$5 importpath=$6 output=$7
shift 7
exec "$compile" -p "$importpath" -o "$output" -importcfg <(cat "$packages/importcfg" "$importcfg") \
  -embedcfg "$embedcfg" -trimpath "$PWD/$bin_dir=>;$PWD=>" -buildid= -complete -nolocalimports -pack -- "$@"
