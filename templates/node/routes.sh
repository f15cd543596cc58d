#!/usr/bin/env bash
# Makes the ways to the other nodes' pods as files/routes has them, and no
# others: at boot by provision-routes.service, and by the step that writes it.
# They bear a protocol number of their own, by which they are known.
set -euo pipefail

protocol=157
wanted=${BASH_SOURCE[0]%/*}/files/routes

declare -A keep=()
failed=
if [[ -f $wanted ]]; then
  while read -r pods via; do
    [[ $pods ]] || continue
    keep[$pods]=1
    # Fails until this machine has its address; the unit tries again.
    ip route replace "$pods" via "$via" proto $protocol || failed="$failed $via"
  done <"$wanted"
fi
while read -r pods _; do
  [[ ! $pods || ${keep[$pods]-} ]] || ip route delete "$pods" proto $protocol
done < <(ip -4 route show proto $protocol)
[[ ! $failed ]] || {
  echo "no way to$failed: this machine is not (yet) on one segment with them" >&2
  exit 1
}
