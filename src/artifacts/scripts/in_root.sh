#!/usr/bin/env bash
# in_root.sh ROOT WORK COMMAND...: runs COMMAND in the root tree ROOT, in WORK,
# which is /mnt there, with the host's network. Run in a mount namespace of its
# own, which takes the mounts with it.
set -euo pipefail

root=${1:?} work=${2:?}
shift 2

mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount --bind "$work" "$root/mnt"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts"

# Nothing of the caller's environment but what reaches the network with.
environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt TMPDIR=/mnt LC_ALL=C.UTF-8)
for name in http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY; do
  [[ -z ${!name-} ]] || environment+=("$name=${!name}")
done
# The host's authorities are in WORK.
[[ ! -f $work/ca.crt ]] || environment+=(SSL_CERT_FILE=/mnt/ca.crt CARGO_HTTP_CAINFO=/mnt/ca.crt)

exec chroot "$root" env -i -C /mnt "${environment[@]}" "$@"
