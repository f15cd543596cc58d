#!/usr/bin/env bash
# Removes the empty group that runc has made in the hierarchy of version 2.
# Run in a mount namespace of its own.
set -euo pipefail

mount -t tmpfs tmpfs /mnt
mkdir /mnt/group
mount -t cgroup2 cgroup2 /mnt/group
if [[ -d /mnt/group/provision-bench ]]; then
  rmdir /mnt/group/provision-bench
fi
