#!/usr/bin/env bash
# programs.sh TREE KUBERNETES CONTAINERD: puts the programs that are not Debian's
# into TREE, which holds containerd's store with the images already.
set -euo pipefail

tree=${1:?} kubernetes=${2:?} containerd=${3:?}
bin=$tree/usr/local/bin

install -D -m 0755 -t "$bin" "$containerd"/{containerd,containerd-shim-runc-v2,ctr}
# kubeadm, kubelet and kubectl: links to the one program of a build, files of a release.
cp --no-dereference "$kubernetes"/kube* "$bin/"
chmod 0755 "$bin"/kube*

# A release's images have programs of their own.
[[ -e $bin/kubernetes ]] || exit 0
# One inode for the node's own and for that of the images: less disk, one page
# cache, and in an emulated guest one set of translated code.
for layer in "$tree"/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs/usr/local/bin/kubernetes; do
  cmp -s "$layer" "$bin/kubernetes"
  ln -f "$layer" "$bin/kubernetes"
done
