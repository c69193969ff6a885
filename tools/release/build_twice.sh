#!/usr/bin/env bash
# build_twice.sh FOLDER: builds the images twice, in two clones and two output bases below FOLDER, and compares them.
#
# The builds share nothing but the machine: each fetches all packages. Prints the digests; fails if they differ.
set -euo pipefail
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(git rev-parse --show-toplevel)"

# build NAME: builds the images in a clone NAME.
build() {
  git clone --quiet . "$folder/$1"
  (
    cd "$folder/$1"
    ./bazelw --output_base="$folder/$1.output" build --disk_cache= --repository_cache= //deploy:image //ingress:image
    ./bazelw --output_base="$folder/$1.output" shutdown
  )
}

build first
build second
for image in deploy ingress; do
  index=.bazel/bin/$image/image/index.json # it has the digest of the image
  cat "$folder/first/$index"
  echo
  cmp "$folder/first/$index" "$folder/second/$index"
done
