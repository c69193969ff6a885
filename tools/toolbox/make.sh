#!/usr/bin/env bash
# tools/toolbox/make.sh FOLDER: makes FOLDER/usr, a userland that holds Bazel, from Debian packages.
#
# Needs apt and dpkg, neither root nor an installed package. FOLDER appears complete or not at all.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/apt/apt.sh
source "$here/../apt/apt.sh"

# The suite that ships Bazel 7 and its rulesets; stable does not.
readonly SUITE=sid

# WORKSPACE's rulesets in the toolbox: repository name, folder below /usr/share/bazel.
readonly RULESETS='
  bazel_features    tools/features
  bazel_lib         tools/bazel_lib
  bazel_skylib      tools/skylib
  rules_cc          rules/cc
  rules_proto       rules/proto
  rules_proto_grpc  rules/proto_grpc
  rules_python      rules/python
  rules_shell       rules/shell
'

# progress TEXT: one line that is rewritten on a terminal, a line each elsewhere.
progress() {
  if [[ -t 2 ]]; then printf '\r\033[Kbazelw: %s' "$1" >&2; else echo "bazelw: $1" >&2; fi
}

# names FILE: the package names in FILE, without comments.
names() { sed -E 's/#.*//; s/[[:space:]]+//g; /^$/d' "$1"; }

download() {
  local folder=$1 packages unneeded
  mapfile -t packages < <(names "$here/packages")
  mapfile -t unneeded < <(names "$here/unneeded")
  progress 'reading the package lists (1 of 3)'
  apt_open "$folder" "$SUITE" "${unneeded[@]}"
  progress 'downloading 210 MB of packages (2 of 3)'
  apt-get "${APT[@]}" install --yes --download-only "${packages[@]}" >/dev/null
}

# check_version ROOT: fails unless the Bazel in it is of .bazelversion's major version; a later one reads no WORKSPACE.
check_version() {
  local wanted label
  wanted=$(<"$here/../../.bazelversion")
  label=$(<"$1/usr/share/bazel/build-label.txt")
  [[ ${label%%.*} == "${wanted%%.*}" ]] && return
  echo "Debian $SUITE ships Bazel $label now, this project needs $wanted" >&2
  return 1
}

# localize ROOT: makes ROOT/usr stand alone, since /etc stays the machine's. What links into the packages' /etc becomes a
# file; what Debian's alternatives would link is linked.
localize() {
  local root=$1 link target jre name folder
  while read -r target link; do
    [[ -f $root$target ]] || continue # /etc/ssl: the machine's own certificates are what is wanted
    rm "$link"
    cp "$root$target" "$link"
  done < <(find "$root/usr" -type l -lname '/etc/*' -printf '%l %p\n')
  jre=$(find "$root/usr/lib/jvm" -type f -path '*/bin/java' -printf '%P\n')
  ln -s mawk "$root/usr/bin/awk"
  ln -s which.debianutils "$root/usr/bin/which"
  ln -s "../lib/jvm/$jre" "$root/usr/bin/java"
  {
    echo '# Written by tools/toolbox/make.sh: this Bazel, and the rulesets of WORKSPACE as Debian ships them.'
    echo 'startup --install_base=/usr/share/bazel --trust_install_base'
    echo "startup --server_javabase=/usr/lib/jvm/${jre%/bin/java}"
    # Unique, so that a Bazel server that still runs in another toolbox is replaced.
    echo "startup --host_jvm_args=-Dtoolbox=$(basename "$(dirname "$root")")"
    while read -r name folder; do
      [[ -z $name ]] || echo "common --override_repository=$name=/usr/share/bazel/$folder"
    done <<<"$RULESETS"
  } >"$root/usr/share/bazel/toolbox.bazelrc"
}

main() {
  local folder=$1 began=$SECONDS
  work=$(mktemp -d "$folder.XXXXXX") # not local: the trap runs outside of this function
  trap 'rm -rf "$work"' EXIT
  download "$work/apt"
  progress 'unpacking them (3 of 3)'
  apt_unpack "$work/root" "$work"/apt/cache/archives/*.deb
  check_version "$work/root"
  localize "$work/root"
  mkdir "$work/done"
  mv "$work/root/usr" "$work/done/usr"
  chmod 755 "$work/done"
  mv "$work/done" "$folder"
  progress "done in $((SECONDS - began)) s"
  [[ ! -t 2 ]] || echo >&2
}

main "$@"
