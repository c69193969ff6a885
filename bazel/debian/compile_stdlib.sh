#!/usr/bin/env bash
# compile_stdlib.sh ROOT PYTHON: compiles the standard library of an unpacked interpreter. PYTHON is its name, such as
# python3.13.
set -euo pipefail
root=$1 python=$2
# Unchecked hash-based bytecode contains no time stamp, and the options -s and -p keep the build folder out of it.
export LC_ALL=C PYTHONHASHSEED=0
"$root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \
  --argv0 "$PWD/$root/usr/bin/$python" "$root/usr/bin/$python" -B -I -S \
  -m compileall -q -f --invalidation-mode unchecked-hash -s "$root" -p / "$root/usr/lib/$python"
