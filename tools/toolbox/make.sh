#!/usr/bin/env bash
# tools/toolbox/make.sh FOLDER: makes FOLDER/usr, with Bazel and basic programs, from Debian packages.
#
# It needs apt and dpkg, but neither root nor installed packages. FOLDER is created only when it is complete.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/apt/apt.sh
source "$here/../apt/apt.sh"

# The suite that ships Bazel 7 and its rulesets. Debian stable does not have them.
readonly SUITE=sid

# The rulesets of WORKSPACE in the toolbox: repository name, and folder below /usr/share/bazel.
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

# progress TEXT: prints progress: on a terminal, one line that is overwritten; elsewhere, a line for each call.
progress() {
  if [[ -t 2 ]]; then printf '\r\033[Kbazelw: %s' "$1" >&2; else echo "bazelw: $1" >&2; fi
}

# names FILE: prints the package names in FILE, without comments.
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

# check_version ROOT: fails unless Bazel in ROOT has .bazelversion's major version. A later one does not read WORKSPACE.
check_version() {
  local wanted label
  wanted=$(<"$here/../../.bazelversion")
  label=$(<"$1/usr/share/bazel/build-label.txt")
  [[ ${label%%.*} == "${wanted%%.*}" ]] && return
  echo "Debian $SUITE now ships Bazel $label, but this project needs $wanted" >&2
  return 1
}

# localize ROOT: makes ROOT/usr independent of the packages' /etc, since /etc remains the machine's. Replaces links into
# /etc by copies of the files, and creates the links that Debian's alternatives would create.
localize() {
  local root=$1 link target jre name folder
  while read -r target link; do
    [[ -f $root$target ]] || continue # keep links to /etc/ssl: the machine's own certificates are used
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
    # A unique option, so that Bazel replaces a server that still runs in another toolbox.
    echo "startup --host_jvm_args=-Dtoolbox=$(basename "$(dirname "$root")")"
    while read -r name folder; do
      [[ -z $name ]] || echo "common --override_repository=$name=/usr/share/bazel/$folder"
    done <<<"$RULESETS"
  } >"$root/usr/share/bazel/toolbox.bazelrc"
}

main() {
  local folder=$1 began=$SECONDS
  work=$(mktemp -d "$folder.XXXXXX") # not local: the trap runs outside this function
  trap 'rm -rf "$work"' EXIT
  download "$work/apt"
  progress 'unpacking the packages (3 of 3)'
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
