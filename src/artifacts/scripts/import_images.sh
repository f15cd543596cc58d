#!/usr/bin/env bash
# import_images.sh TREE ARCHIVE CONTAINERD WORK: imports ARCHIVE into TREE's
# containerd store, by the containerd that the node will run, at host speed.
# WORK/imported gets a line "NAME DIGEST" for each image.
set -euo pipefail

tree=${1:?} archive=${2:?} containerd=${3:?} work=${4:?}
export PATH="$containerd:$PATH"

# A socket's path may have no more than 107 bytes: not in WORK. This mount is
# in a namespace of its own, so nobody else sees it and it leaves with us.
mount -t tmpfs tmpfs /run
mkdir -p "$tree/var/lib/containerd"
cat >"$work/containerd.toml" <<TOML
version = 3
root = '$tree/var/lib/containerd'
state = '/run/containerd'
disabled_plugins = [
  'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime', 'io.containerd.grpc.v1.cri',
  'io.containerd.nri.v1.nri', 'io.containerd.internal.v1.tracing', 'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.snapshotter.v1.blockfile', 'io.containerd.snapshotter.v1.erofs', 'io.containerd.snapshotter.v1.native',
]
[grpc]
address = '/run/containerd.sock'
[ttrpc]
address = '/run/containerd.ttrpc.sock'
TOML
containerd --config "$work/containerd.toml" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || true; wait "$daemon" || true' EXIT

ctr() { command ctr --address /run/containerd.sock --namespace k8s.io "$@"; }
for _ in {1..600}; do
  [[ ! -S /run/containerd.sock ]] || break
  kill -0 "$daemon"
  sleep 0.05
done

ctr images import --local --discard-unpacked-layers "$archive"
ctr images list | awk 'NR > 1 { print $1, $3 }' >"$work/imported"
# The labels by which the CRI plug-in knows its images, and by which the
# kubelet's garbage collection leaves alone what no registry could give back.
while read -r name _; do
  ctr images label "$name" io.cri-containerd.image=managed io.cri-containerd.pinned=pinned
done <"$work/imported"
# Unpacked, the layers' blobs are of no more use: a smaller disk.
ctr content prune references

kill "$daemon"
wait "$daemon" || true
trap - EXIT
# Each node is to draw its own.
rm -f "$tree/var/lib/containerd/io.containerd.grpc.v1.introspection/uuid"
