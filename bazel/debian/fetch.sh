#!/usr/bin/env bash
# fetch.sh APT_SH LOCK SUITE: unpacks the locked Debian packages into ./root and compiles the standard library there.
#
# A mirror serves only current versions. Where a pin is gone the suite's current version is taken, on the strength of
# Debian's signature alone, and named in ./stale. Exits with 69 where apt knows no Debian mirror.
set -euo pipefail
# shellcheck source=tools/apt/apt.sh
source "$1"
lock=$2 suite=$3

apt_mirror >/dev/null || exit 69
apt_open "$PWD/apt" "$suite"
mapfile -t names < <(cut -d ' ' -f 1 "$lock")
apt-cache "${APT[@]}" madison "${names[@]}" | awk '{ print $1, $3 }' >served

: >stale
: >sums
wanted=()
while read -r name version sha256; do
  if grep -qxF "$name $version" served; then
    wanted+=("$name=$version")
    echo "$sha256  debs/${name}_${version//:/%3a}_" >>sums
  else
    wanted+=("$name")
    echo "$name $version" >>stale
  fi
done <"$lock"

mkdir debs
(cd debs && apt-get "${APT[@]}" download "${wanted[@]}")
while read -r sha256 prefix; do
  echo "$sha256 $(echo "$prefix"*.deb)" | sha256sum --check --quiet
done <sums

apt_unpack "$PWD/root" debs/*.deb
# Checked by hash, not by time: the bytecode stays valid wherever these files are copied.
export LC_ALL=C PYTHONHASHSEED=0
python=$(basename root/usr/lib/python3.*)
root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path root/usr/lib/x86_64-linux-gnu \
  --argv0 "$PWD/root/usr/bin/$python" "root/usr/bin/$python" -B -I -S \
  -m compileall -q -f --invalidation-mode unchecked-hash -s root -p / "root/usr/lib/$python"
rm -rf apt debs served sums
