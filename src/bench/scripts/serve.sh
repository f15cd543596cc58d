#!/usr/bin/env bash
# serve.sh TREE BUNDLE NAME RUNTIME...: runs the bundle's container by RUNTIME
# (with its options) in the root tree TREE, with the host's network. Run in
# mount and pid namespaces of its own, which take mounts and processes with
# them. Prints "calling NAME" right before the runtime is called.
set -euo pipefail

tree=${1:?} bundle=${2:?} name=${3:?}
shift 3

# The runtime wants its root to be a mount point, and nothing may write into
# the tree: it is an artifact.
mount --bind "$tree" "$tree"
mount -o remount,ro,bind "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mount -t sysfs -o ro sysfs "$tree/sys"
# The hierarchy of version 2, also where the host has mounted that of version 1.
mount -t cgroup2 cgroup2 "$tree/sys/fs/cgroup"
mount -t tmpfs tmpfs "$tree/run"
mount --bind "$bundle" "$tree/mnt"

echo "calling $name"
exec chroot "$tree" "$@" run --bundle /mnt "$name"
