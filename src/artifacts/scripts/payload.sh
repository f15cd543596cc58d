#!/usr/bin/env bash
# payload.sh TREE KUBERNETES CONTAINERD ARCHIVE: adds the programs to TREE, which
# holds containerd's store with the images, and packs both into ARCHIVE.
set -euo pipefail

tree=${1:?} kubernetes=${2:?} containerd=${3:?} archive=${4:?}

install -D -m 0755 -t "$tree/usr/local/bin" "$kubernetes/kubernetes" "$containerd"/{containerd,containerd-shim-runc-v2,ctr}
for name in kubeadm kubelet kubectl; do
  ln -sfn kubernetes "$tree/usr/local/bin/$name"
done
# It lies beside this one.
bash "${BASH_SOURCE[0]%/*}/one_kubernetes.sh" "$tree"

cd "$tree"
tar -c --numeric-owner --sparse --sort=name -f "$archive" usr/local/bin/* var/lib/containerd
