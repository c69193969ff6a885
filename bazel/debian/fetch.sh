#!/usr/bin/env bash
# fetch.sh APT_SH LOCK: unpacks the locked Debian packages into ./root, with what each says of itself in status.d.
#
# A mirror serves only current versions. Where a pin is gone the suite's current version is taken, on the strength of
# Debian's signature alone, and named in ./stale. Exits with 69 where apt knows no Debian mirror.
set -euo pipefail
# shellcheck source=tools/apt/apt.sh
source "$1"
lock=$2

apt_mirror >/dev/null || exit 69
apt_open "$PWD/apt" "$(sed -n 's/^suite //p' "$lock")"
sed '/^suite /d' "$lock" >pins
mapfile -t names < <(cut -d ' ' -f 1 pins)
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
done <pins

mkdir debs
(cd debs && apt-get "${APT[@]}" download "${wanted[@]}")
while read -r sha256 prefix; do
  echo "$sha256 $(echo "$prefix"*.deb)" | sha256sum --check --quiet
done <sums

apt_unpack "$PWD/root" debs/*.deb
# What each package says of itself, where those who scan images without dpkg look for it; with its hash, which apt knows
# and the package cannot.
mkdir -p root/var/lib/dpkg/status.d
for deb in debs/*.deb; do
  {
    dpkg-deb --field "$deb"
    echo "SHA256: $(sha256sum <"$deb" | cut -d ' ' -f 1)"
  } >"root/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
done
rm -rf apt debs pins served sums
