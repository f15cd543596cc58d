#!/usr/bin/env bash
# make_root.sh TREE root|unshare MMDEBSTRAP-OPTION...: makes a root tree.
# A pipe, so that both ways of making it (as root, and as a user in a user
# namespace) end in the same owners: those that tar finds in the stream.
set -euo pipefail

tree=${1:?} mode=${2:?}
shift 2
export PATH="$PATH:/usr/sbin:/sbin"

inside=(unshare --mount --)
[[ $mode == root ]] || inside=(unshare --mount --map-auto --map-root-user --)

mkdir "$tree"
mmdebstrap --mode="$mode" "$@" |
  "${inside[@]}" tar -x -p --numeric-owner --exclude='./dev/*' -C "$tree"
"${inside[@]}" chmod 755 "$tree"
# The chroot binds the host's files over these two.
"${inside[@]}" install -m 0644 /dev/null "$tree/etc/resolv.conf"
"${inside[@]}" install -m 0644 /dev/null "$tree/etc/hosts"
