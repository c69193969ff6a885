#!/usr/bin/env bash
# ca_bundle.sh ROOT: makes one file of all certificates that ROOT has, as ca-certificates' maintainer script would, had it run.
set -euo pipefail
root=$1
mkdir -p "$root/etc/ssl/certs"
find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | LC_ALL=C sort -z |
  xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
# The single files have names that are not ASCII, which Bazel cannot read.
rm -r "$root/usr/share/ca-certificates"
