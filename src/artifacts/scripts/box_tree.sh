#!/usr/bin/env bash
# box_tree.sh NODE-ROOT TREE KUBERNETES CONTAINERD: copies the node's root tree
# to TREE and puts the programs into it that are not Debian's.
set -euo pipefail

root=${1:?} tree=${2:?} kubernetes=${3:?} containerd=${4:?}

cp -a --reflink=auto "$root" "$tree"
install -m 0755 "$containerd"/{containerd,containerd-shim-runc-v2,ctr} "$tree/usr/local/bin/"
# Files of their own, or links to one that is all of them.
for program in "$kubernetes"/*; do
  [[ ${program##*/} == manifest.json ]] || cp -a --no-preserve=ownership "$program" "$tree/usr/local/bin/"
done
