#!/usr/bin/env bash
# image_base.sh ROOT PYTHON TAR: writes the layer that an image begins with: the interpreter of ROOT and its libraries,
# whom TLS trusts, a user without rights. No shell, no package manager, no pip. The same packages make the same bytes.
set -euo pipefail
root=$1 python=$2 tar=$3

base=$(mktemp -d -p .)
trap 'rm -rf "$base"' EXIT
cp --archive "$root"/{bin,etc,lib,lib64,sbin,usr,var} "$base"
ln -sf "$python" "$base/usr/bin/python3" # not debian.bzl's wrapper, which is for other machines

# only FOLDER [NAME...]: removes everything else from a folder.
only() {
  local folder=$base/$1 name others=()
  shift
  for name; do others+=(! -name "$name"); done
  find "$folder" -mindepth 1 -maxdepth 1 "${others[@]}" -exec rm -r {} +
}
only etc ssl os-release
only usr bin lib lib64 sbin share
only usr/sbin
only usr/share common-licenses doc
only var lib
only var/lib dpkg
# pip belongs to the toolchain, test modules to Python's own tests; curses, dbm and readline lack their libraries. Of the
# libraries below none is loaded: Python converts text by itself, OpenSSL's engines are a thing of the past, the rest of
# glibc is for its own tools and for NIS.
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
