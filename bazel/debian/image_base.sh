#!/usr/bin/env bash
# image_base.sh ROOT PYTHON TAR: writes the base layer of an image: the interpreter PYTHON from ROOT, its libraries, the
# CA certificates and an unprivileged user, but no shell, package manager or pip. The same packages give the same bytes.
set -euo pipefail
root=$1 python=$2 tar=$3

base=$(mktemp -d -p .)
trap 'rm -rf "$base"' EXIT
cp --archive "$root"/{bin,etc,lib,lib64,sbin,usr,var} "$base"
ln -sf "$python" "$base/usr/bin/python3" # instead of debian.bzl's wrapper, which is for running on any host

# only FOLDER [NAME...]: removes everything else from a folder.
only() {
  local folder=$base/$1 name others=()
  shift
  for name; do others+=(! -name "$name"); done
  find "$folder" -mindepth 1 -maxdepth 1 "${others[@]}" -exec rm -r {} +
}
# Trivy recognizes Debian, and so the packages in var/lib/dpkg, only by debian_version.
only etc ssl os-release debian_version
only usr bin lib lib64 sbin share
only usr/sbin
only usr/share common-licenses doc
only var lib
only var/lib dpkg
# Not needed at run time: pip is for the toolchain, and the test modules are for Python's own tests. The libraries of
# curses, dbm and readline are not in the image. The shared libraries below are never loaded: Python has its own text
# codecs, OpenSSL's engines are obsolete, and those parts of glibc are for its own tools and for NIS.
rm -rf "$base"/usr/{lib/binfmt.d,share/doc/python3-pip-whl} "$base/var/lib/dpkg/status.d/python3-pip-whl" \
  "$base/usr/lib/$python"/{test,sitecustomize.py} \
  "$base/usr/lib/$python"/lib-dynload/{_test,_xxtestfuzz,_curses,_dbm,readline}* \
  "$base"/usr/lib/x86_64-linux-gnu/{gconv,engines-3} \
  "$base"/usr/lib/x86_64-linux-gnu/lib{c_malloc_debug,expatw,memusage,mvec,nsl,nss_compat,nss_hesiod,pcprofile,thread_db}.so*
mkdir -p "$base"/{app,dev,etc,home/nonroot,proc,sys,tmp} "$base/usr/lib/ssl"
ln -s /etc/ssl/certs/ca-certificates.crt "$base/usr/lib/ssl/cert.pem"
echo 'root:x:0:0:root:/root:/sbin/nologin' >"$base/etc/passwd"
echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >>"$base/etc/passwd"
printf '%s\n' root:x:0: nonroot:x:65532: >"$base/etc/group"
chmod -R u=rwX,go=rX "$base"
chmod 1777 "$base/tmp"

LC_ALL=C tar --create --file "$tar" --directory "$base" --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 \
  --numeric-owner --hard-dereference --transform='s,^\./,,' .
