#!/usr/bin/env bash
# tools/toolbox/make.sh FOLDER: makes FOLDER/usr, with Bazel and basic programs, from Debian packages.
#
# It needs apt and dpkg, but neither root nor installed packages. FOLDER is created only when it is complete.
#
# Bazel finds Debian's rulesets by its own bazelrc file there, toolbox.bazelrc: for WORKSPACE by --override_repository,
# and for MODULE.bazel in a registry of local files, which has the format of the Bazel Central Registry:
# https://bazel.build/external/registry
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/apt/apt.sh
source "$here/../apt/apt.sh"

# The suite that ships Bazel 7 and its rulesets. Debian stable does not have them.
readonly SUITE=sid

# The rulesets in the toolbox: repository name, and folder below /usr/share/bazel.
readonly RULESETS='
  aspect_bazel_lib  tools/aspect_bazel_lib
  bazel_features    tools/features
  bazel_lib         tools/bazel_lib
  bazel_skylib      tools/skylib
  platforms         tools/platforms
  rules_cc          rules/cc
  rules_license     rules/license
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

# check_version ROOT: fails unless Bazel in ROOT has .bazelversion's major version. A later one reads WORKSPACE only with a flag, or not at all.
check_version() {
  local wanted label
  wanted=$(<"$here/../../.bazelversion")
  label=$(<"$1/usr/share/bazel/build-label.txt")
  [[ ${label%%.*} == "${wanted%%.*}" ]] && return
  echo "Debian $SUITE now ships Bazel $label, but this project needs $wanted" >&2
  return 1
}

# dependencies FILE: prints a line "NAME VERSION" for each module that a MODULE.bazel file depends on.
dependencies() {
  sed 's/#.*//' "$1" | tr -d ' \n' | grep -oE 'bazel_dep\([^)]*\)' | grep -v 'dev_dependency=' |
    sed -E 's/.*\(name="([^"]*)",version="([^"]*)".*/\1 \2/' || true
}

# module_file BAZEL NAME VERSION FOLDER: prints the MODULE.bazel file of a module, with the version that is asked for.
module_file() {
  if [[ $4 ]]; then
    sed -E "/^module\(/,/^\)/s/version = \"[^\"]*\"/version = \"$3\"/" "$1/$4/MODULE.bazel"
  else
    echo "module(name = \"$2\", version = \"$3\")"
  fi
}

# write_registry BAZEL: writes BAZEL/registry. Whatever version of a ruleset is asked for, it has Debian's. Modules that
# only unused parts of Bazel or of a ruleset need, such as those for Java, are empty.
write_registry() {
  local bazel=$1 registry=$1/registry queue name version folder entry
  mkdir -p "$registry/empty"
  touch "$registry/empty/REPO.bazel"
  echo '{"module_base_path": "/usr/share/bazel"}' >"$registry/bazel_registry.json"
  # Bazel itself depends on this version of platforms, in its code.
  mapfile -t queue < <(
    echo platforms 0.0.7
    dependencies "$here/../../MODULE.bazel"
    dependencies "$bazel/embedded_tools/MODULE.bazel"
  )
  while ((${#queue[@]})); do
    read -r name version <<<"${queue[0]}"
    queue=("${queue[@]:1}")
    entry=$registry/modules/$name/$version
    [[ ! -d $entry ]] || continue
    mkdir -p "$entry"
    folder=$(awk -v name="$name" '$1 == name { print $2 }' <<<"$RULESETS")
    module_file "$bazel" "$name" "$version" "$folder" >"$entry/MODULE.bazel"
    echo "{\"type\": \"local_path\", \"path\": \"${folder:-registry/empty}\"}" >"$entry/source.json"
    mapfile -t -O "${#queue[@]}" queue < <(dependencies "$entry/MODULE.bazel")
  done
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
    echo '# Written by tools/toolbox/make.sh: this Bazel, and the rulesets as Debian ships them.'
    echo 'startup --install_base=/usr/share/bazel --trust_install_base'
    echo "startup --server_javabase=/usr/lib/jvm/${jre%/bin/java}"
    # A unique option, so that Bazel replaces a server that still runs in another toolbox.
    echo "startup --host_jvm_args=-Dtoolbox=$(basename "$(dirname "$root")")"
    echo 'common --registry=file:///usr/share/bazel/registry'
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
  write_registry "$work/root/usr/share/bazel"
  localize "$work/root"
  mkdir "$work/done"
  mv "$work/root/usr" "$work/done/usr"
  chmod 755 "$work/done"
  mv "$work/done" "$folder"
  progress "done in $((SECONDS - began)) s"
  [[ ! -t 2 ]] || echo >&2
}

main "$@"
