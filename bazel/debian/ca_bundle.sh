#!/usr/bin/env bash
# ca_bundle.sh ROOT: concatenates all certificates in ROOT into one file. The maintainer script of ca-certificates,
# which is not run, would do the same.
set -euo pipefail
root=$1
mkdir -p "$root/etc/ssl/certs"
find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | LC_ALL=C sort -z |
  xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
# Some certificate files have names that are not ASCII, which Bazel cannot read.
rm -r "$root/usr/share/ca-certificates"
