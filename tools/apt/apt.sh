# shellcheck shell=bash
# apt in a private folder: fetches and verifies packages of a Debian suite without root, and without installing them.
#
# This file is sourced by the scripts that make the toolbox, fetch packages for Bazel's repository rules, and write the
# locks. The mirror, proxy and keys are those of the machine. The caller chooses only the suite.

# apt_mirror: prints the base URI of the Debian mirror in this machine's configuration.
#   DEBIAN_MIRROR overrides it, for machines whose apt has no Debian mirror, such as Ubuntu.
# shellcheck disable=SC2016 # apt expands $(REPO_URI), the shell must not
apt_mirror() {
  local uri release ID='' VERSION_CODENAME=''
  if [[ -n ${DEBIAN_MIRROR:-} ]]; then
    echo "$DEBIAN_MIRROR"
    return
  fi
  while read -r uri; do
    [[ $uri == *security* ]] && continue
    echo "$uri"
    return
  done < <(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian')
  # If "apt-get update" has never run, apt does not know any origin, but its sources name the machine's own release.
  # shellcheck source=/dev/null
  [[ -r /etc/os-release ]] && source /etc/os-release
  while read -r uri release; do
    [[ $ID == debian && $release == "$VERSION_CODENAME" ]] || continue
    echo "$uri"
    return
  done < <(apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Component: main')
  echo "no Debian mirror in apt's sources; set DEBIAN_MIRROR to the base URI of one" >&2
  return 1
}

# apt_keyring: prints the path of the keyring that apt verifies the mirror's signature with.
#   DEBIAN_KEYRING overrides it, for an organisation that signs its own mirror.
apt_keyring() {
  local keyring keyrings=(/usr/share/keyrings/debian-archive-keyring.{pgp,gpg})
  [[ -z ${DEBIAN_KEYRING:-} ]] || keyrings=("$DEBIAN_KEYRING")
  for keyring in "${keyrings[@]}"; do
    [[ -r $keyring ]] || continue
    echo "$keyring"
    return
  done
  echo "cannot read ${keyrings[*]}: install debian-archive-keyring, or set DEBIAN_KEYRING to the path of a keyring" >&2
  return 1
}

# apt_open FOLDER SUITE [PACKAGE...]: sets the array APT to options that restrict apt-get and apt-cache to FOLDER (an
#   absolute path), and fetches SUITE's package lists. Each PACKAGE counts as installed, so that apt never selects it.
apt_open() {
  local folder=$1 suite=$2 keyring mirror package
  shift 2
  mirror=$(apt_mirror) || return
  keyring=$(apt_keyring) || return
  mkdir -p "$folder"/{lists/partial,cache/archives/partial}
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$folder/sources.list"
  for package in "$@"; do
    printf '%s\n' "Package: $package" 'Status: install ok installed' 'Version: 999' 'Architecture: all' \
      'Multi-Arch: foreign' 'Maintainer: none' 'Description: not needed' ''
  done >"$folder/status"
  APT=(
    -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=-
    -o "Dir::State=$folder" -o "Dir::State::Lists=$folder/lists" -o "Dir::State::Status=$folder/status"
    -o "Dir::Cache=$folder/cache" -o "Dir::Cache::Archives=$folder/cache/archives"
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o APT::Default-Release=
    -o APT::Install-Recommends=false
    -o Acquire::Languages=none
    -o APT::Update::Error-Mode=any      # otherwise an unreachable mirror is not an error
    -o Acquire::Check-Valid-Until=false # a mirror may lag; the signature is still verified
    -o APT::Sandbox::User=              # apt's sandbox user could not write to FOLDER
    -qq
  )
  apt-get "${APT[@]}" update
}

# apt_unpack ROOT DEB...: unpacks packages into ROOT, as dpkg would, but without running maintainer scripts. Keeps only
#   the copyright files of the documentation, and clears set-user-id and set-group-id bits.
apt_unpack() {
  local root=$1 folder
  shift
  for folder in bin sbin lib lib64; do
    mkdir -p "$root/usr/$folder"
    ln -sfn "usr/$folder" "$root/$folder" # merged /usr, before a package creates a real folder
  done
  # shellcheck disable=SC2016 # the inner shell expands it
  printf '%s\0' "$@" | xargs -0 -n 1 -P "$(nproc)" bash -euo pipefail -c '
    dpkg-deb --fsys-tarfile "$1" | tar --extract --directory "$0" --keep-directory-symlink --no-same-owner \
      --exclude=./usr/share/man --exclude=./usr/share/locale' "$root"
  find "$root/usr/share/doc" ! -type d ! -name copyright -delete
  find "$root" -type f -perm /6000 -exec chmod a-s {} +
}
