#!/usr/bin/env bash
# Puts the images into CRI-O's store, from the archive that was sent here, whose
# digest comes on standard input. The box holds them in containerd's, without
# their layers' archives.
source "${BASH_SOURCE[0]%/*}/lib.sh"

archive=$stamps/images.tar
layout=$stamps/images
# Written when all are loaded, with the digest of the archive.
loaded=$stamps/load_images

check() {
  [[ -s $loaded ]] || would "load the images into CRI-O"
}

# Each image's name; skopeo reads another annotation than containerd does.
names() {
  grep -o '"org.opencontainers.image.ref.name":"[^"]*"' "$layout/index.json" | cut -d'"' -f4
}

run() {
  local digest wanted name
  read -r wanted
  read -r digest _ < <(sha256sum "$archive")
  [[ $digest == "$wanted" ]] || {
    rm -f "$archive"
    fail "what arrived has another digest ($digest) than what was sent ($wanted); it is removed: run this again"
  }
  rm -rf "$layout"
  mkdir -p "$layout"
  tar -x -C "$layout" -f "$archive"
  sed -i 's/"io\.containerd\.image\.name"/"org.opencontainers.image.ref.name"/g' "$layout/index.json"
  for name in $(names); do
    say "$name"
    skopeo --insecure-policy copy --quiet --preserve-digests "oci:$layout:$name" "containers-storage:$name"
  done
  rm -rf "$layout" "$archive"
  printf '%s\n' "$digest" >"$loaded"
}

step "$@"
