#!/usr/bin/env bash
# Makes the ways to the other nodes' pods that files/routes has, and no others:
# at boot by provision-routes.service, and by the step that writes it.
#
#   routes.sh          makes them so
#   routes.sh check    a line for each that is not so; changes nothing
#
# The pods of a node on this machine's own segment are reached by that node's
# address. To others, behind routers that know nothing of pods, what pods send
# goes inside UDP packets (VXLAN, port 4789): a tunnel with one end on each
# node. Who is there follows from the profile, so the kernel is told once and
# nothing runs. Addresses are laid out as flannel does: a node's end of the
# tunnel has the first address of its pods' range.
set -euo pipefail

here=${BASH_SOURCE[0]%/*}
# shellcheck source=/dev/null
source "$here/node.env"
# Routes of ours bear a protocol number of their own, by which they are known.
protocol=157
tunnel="pods-tunnel"

# end_of RANGE: the address of the tunnel's end at the node with these pods.
end_of() { echo "${1%/*}"; }

# mac_of RANGE: and its hardware address, made of the other as CNI plug-ins do.
mac_of() {
  local bytes
  IFS=. read -r -a bytes <<<"${1%/*}"
  printf '0a:58:%02x:%02x:%02x:%02x\n' "${bytes[@]}"
}

# The ways that there are to be: "PODS NODE GATEWAY" a line; what is reached
# through the tunnel has the far end as its gateway.
wanted() {
  local pods node gateway address by
  declare -A near=()
  [[ -f $here/files/routes ]] || return 0
  # A node that no router stands before is on a segment of this machine. All are
  # asked in one command; for those without any way it fails, and goes on.
  while read -r address by _; do
    [[ $by != dev ]] || near[$address]=1
  done < <(awk 'NF { print "route get " $2 }' "$here/files/routes" | ip -4 -force -batch - 2>/dev/null)
  while read -r pods node; do
    [[ $pods ]] || continue
    gateway=$node
    [[ ${near[$node]-} ]] || gateway=$(end_of "$pods")
    echo "$pods $node $gateway"
  done <"$here/files/routes"
}

# Those that there are: "PODS GATEWAY" a line.
routed() {
  local pods gateway
  ip -4 route show proto $protocol | while read -r pods _ gateway _; do echo "$pods $gateway"; done
}

# Whether this machine's end of the tunnel is there, between its own addresses.
has_tunnel() {
  local link
  link=$(ip -d link show $tunnel 2>/dev/null) && [[ $link == *" local ${NODE_IP:?} "* && $link == *"state UNKNOWN"* ]]
}

make_tunnel() {
  local card
  card=$(ip -4 -o address show to "$NODE_IP" | { read -r _ card _ && echo "$card"; })
  ip link delete $tunnel 2>/dev/null || true
  ip link add $tunnel address "$(mac_of "${NODE_PODS:?}")" type vxlan \
    id $protocol dev "$card" local "$NODE_IP" dstport 4789 nolearning
  ip address add "$(end_of "$NODE_PODS")/32" dev $tunnel
  ip link set $tunnel up
}

# lead PODS NODE: through the tunnel.
lead() {
  local mac
  mac=$(mac_of "$1")
  bridge fdb replace "$mac" dev $tunnel dst "$2" self permanent &&
    ip neighbour replace "$(end_of "$1")" lladdr "$mac" dev $tunnel nud permanent &&
    ip route replace "$1" via "$(end_of "$1")" dev $tunnel onlink proto $protocol
}

check() {
  local pods node gateway ways ends=''
  ways=$(wanted)
  [[ $(routed | sort) == "$(cut -d' ' -f1,3 <<<"$ways" | sort)" ]] || echo "route to the pods of the other nodes"
  ! has_tunnel || ends=$(bridge fdb show dev $tunnel)
  while read -r pods node gateway; do
    [[ $node == "$gateway" || $ends == *"$(mac_of "$pods") dst $node "* ]] ||
      echo "lead through a tunnel (VXLAN) to the pods of $node, which is on another segment"
  done <<<"$ways"
}

run() {
  local pods node gateway ways tunnelled='' failed=''
  declare -A keep=()
  # Without its own address everything would seem to be far away; the unit tries again.
  [[ $(ip -4 -o address show) == *" $NODE_IP/"* ]] || {
    echo "this machine does not have its address $NODE_IP (yet)" >&2
    exit 1
  }
  ways=$(wanted)
  while read -r pods node gateway; do
    [[ $pods ]] || continue
    keep[$pods]=1
    if [[ $node == "$gateway" ]]; then
      ip route replace "$pods" via "$node" proto $protocol || failed="$failed $node"
      continue
    fi
    [[ $tunnelled ]] || has_tunnel || make_tunnel
    tunnelled=1
    lead "$pods" "$node" || failed="$failed $node"
  done <<<"$ways"
  while read -r pods _; do
    [[ ! $pods || ${keep[$pods]-} ]] || ip route delete "$pods" proto $protocol
  done < <(routed)
  [[ $tunnelled ]] || ip link delete $tunnel 2>/dev/null || true
  [[ ! $failed ]] || {
    echo "no way to the pods of$failed" >&2
    exit 1
  }
}

case "${1-run}" in
run) run ;;
check) check ;;
*)
  echo "usage: routes.sh [check]" >&2
  exit 2
  ;;
esac
