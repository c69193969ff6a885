#!/usr/bin/env bash
# fetch.sh APT_SH LOCK: unpacks the Debian packages that LOCK pins into ./root, and writes the control fields of each to
# root/var/lib/dpkg/status.d.
#
# A pin is one exact file, which must have the SHA-256 in LOCK. It comes from the mirror, or else from the snapshot
# archive $DEBIAN_SNAPSHOT. If neither serves the file, the script uses the suite's current version of the package,
# which apt verifies by the suite's signature; it then lists the pin in ./stale and prints a warning to standard output.
# Exits with 69 if apt has no Debian mirror.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source=tools/apt/apt.sh
source "$1"
lock=$2
# Force English messages, since this script searches them. LANGUAGE would override LC_ALL.
export LC_ALL=C.UTF-8 LANGUAGE=

# The pattern of a line in the lock. In addition, its path must not contain "..".
readonly PIN='[a-z0-9][a-z0-9+.-]* \S+ [0-9a-f]{64} pool/\S+'
# Connection timeout for the archive. A silent archive delays the build by at most four times this: two attempts, each
# with a response timeout of twice the connection timeout.
readonly ARCHIVE_SECONDS=10

die() {
  echo "$1" >&2
  exit 1
}

# apt_helper [OPTION | URI FILE HASH]...: downloads files concurrently. If some downloads fail, the others are complete.
apt_helper() {
  /usr/lib/apt/apt-helper -q -o APT::Sandbox::User= "$@" >>apt.log 2>&1
}

# mirror_bases: prints the base URIs of the mirror. If its URI is mirror+SCHEME:PATH, a list of mirrors, prints the URIs
# in that list in order, since apt-helper does not support lists.
mirror_bases() {
  local list=${mirror#mirror+}
  if [[ $list == "$mirror" ]]; then
    echo "$mirror"
  elif apt_helper download-file "${list%/}" mirrors; then
    sed -E '/^(#|$)/d; s/\s.*//' mirrors
  else
    echo "  cannot read the mirror list ${mirror%/}" >>reasons
  fi
}

# from_mirror [URI FILE HASH]...: downloads files from the mirror.
from_mirror() {
  apt_helper download-file "$@"
}

# from_archive [URI FILE HASH]...: downloads files from the archive. If the first download times out, skips the others,
# so that an archive that never answers costs one timeout and not one per file.
from_archive() {
  local began=$SECONDS options=(-o Acquire::Retries=1)
  options+=(-o "Acquire::http::Timeout=$ARCHIVE_SECONDS" -o "Acquire::https::Timeout=$ARCHIVE_SECONDS")
  apt_helper "${options[@]}" download-file "${@:1:3}" || ((SECONDS - began < ARCHIVE_SECONDS)) || return
  (($# <= 3)) || apt_helper "${options[@]}" download-file "${@:4}"
}

# download FROM BASE: downloads the files in ./missing from BASE with the function FROM. Removes those that have the
# pinned hash from ./missing.
download() {
  local from=$1 base=${2%/} files=() name version sha256 path
  while read -r name version sha256 path; do
    files+=("$base/$path" "debs/$name.deb" "SHA256:$sha256")
  done <missing
  : >apt.log
  "$from" "${files[@]}" || true
  while read -r name version sha256 path; do
    # When a connection breaks, apt leaves a partial file under the final name.
    if ! sha256sum --check --status 2>/dev/null <<<"$sha256  debs/$name.deb"; then
      echo "$name $version $sha256 $path"
      rm -f "debs/$name".deb*
    fi
  done <missing >still_missing
  mv still_missing missing
  sed -n '/^E: Failed to fetch / { s//  /p; q }' apt.log >>reasons
}

# use_current SUITE: downloads the current versions of the packages in ./missing. For each that differs from its pin,
# adds the pin to ./stale and prints the pinned and the used version.
use_current() {
  local suite=$1 deb name version sha256 names
  apt_open "$PWD/apt" "$suite" >&2 || die "Pinned packages of $lock are no longer served:
$(cut -d ' ' -f 1,2 missing)
$(cat reasons)
Their current versions cannot be used instead, since the package index of suite $suite could not be read (see above)."
  mapfile -t names < <(cut -d ' ' -f 1 missing)
  for name in "${names[@]}"; do
    [[ $(apt-cache "${APT[@]}" madison "$name" 2>/dev/null) ]] || die "Package $name is pinned in $lock and no longer served:
$(cat reasons)
Suite $suite no longer has a package of this name: replace it in ${lock%.lock}.packages, then lock again."
  done
  mkdir current
  (cd current && apt-get "${APT[@]}" download "${names[@]}") >&2 ||
    die "The current versions of pinned packages that are no longer served could not be downloaded (see above): ${names[*]}"
  while read -r name version sha256 _; do
    deb=debs/$name.deb
    mv "current/$name"_*.deb "$deb"
    # The first download may have failed for another reason: if this is the pinned file, it is not stale.
    sha256sum --check --status <<<"$sha256  $deb" && continue
    echo "$name $version" >>stale
    echo "  $name $version (pinned): $(dpkg-deb --field "$deb" Version) (used)"
  done <missing
}

mirror=$(apt_mirror) || exit 69
suite=$(sed -n 's/^suite //p' "$lock")
snapshot=$(sed -n 's/^snapshot //p' "$lock")
grep -vE '^(suite|snapshot) ' "$lock" >missing || true
[[ $suite && $snapshot && -s missing ]] ||
  die "$lock is malformed: it must contain 'suite NAME', 'snapshot TIMESTAMP' and lines 'name version sha256 path';
to rewrite it: ./bazelw run //third_party/debian:lock"
while IFS= read -r line; do
  [[ $line =~ ^$PIN$ && $line != *' pool/'*..* ]] ||
    die "$lock: invalid line '$line': must be 'name version sha256 path', match $PIN and have no '..' in the path;
to rewrite the lock: ./bazelw run //third_party/debian:lock"
done <missing
archive=${DEBIAN_SNAPSHOT:-https://snapshot.debian.org/archive/debian}
archive=${archive%/}/$snapshot

mkdir debs
: >stale
: >reasons
bases=$(mirror_bases)
for base in $bases; do
  [[ ! -s missing ]] || download from_mirror "$base"
done
[[ ! -s missing ]] || download from_archive "$archive"
used=''
[[ ! -s missing ]] || used=$(use_current "$suite")
if [[ $used ]]; then
  echo "Neither the Debian mirror nor the snapshot archive $archive serves these pinned packages."
  echo "The current versions of suite $suite, which are signed, are used instead:"
  echo "$used"
  echo "The downloads failed, among others, with:"
  cat reasons
fi

apt_unpack "$PWD/root" debs/*.deb
# Write the control fields of each package where scanners look for them in images without dpkg. Add the SHA-256 of the
# package, which apt's index has but the package itself cannot contain.
mkdir -p root/var/lib/dpkg/status.d
for deb in debs/*.deb; do
  {
    dpkg-deb --field "$deb"
    echo "SHA256: $(sha256sum <"$deb" | cut -d ' ' -f 1)"
  } >"root/var/lib/dpkg/status.d/$(basename "$deb" .deb)"
done
rm -rf apt apt.log current debs mirrors missing reasons
