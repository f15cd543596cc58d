#!/usr/bin/env bash
# Configures the pods' network: a bridge, addresses out of POD_CIDR, and one
# masquerading rule for what leaves it; and closes the node's own ports to
# whoever is outside the lab.
source "${BASH_SOURCE[0]%/*}/lib.sh"

conflist=/etc/cni/net.d/10-provision.conflist
rules=/etc/provision/masquerade.nft
guard=/etc/provision/guard.nft
unit=/etc/systemd/system/provision-masquerade.service
unit_text="[Unit]
Description=Masquerading for pods, a guard before the node
Before=containerd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f $rules

[Install]
WantedBy=multi-user.target"

check() {
  same "$files/cni.conflist" $conflist || would "write $conflist (${POD_CIDR:?})"
  same "$files/masquerade.nft" $rules || would "write $rules"
  [[ -f $unit && $(<$unit) == "$unit_text" ]] || would "load them at each boot"
  same "$files/guard.nft" $guard || would "write $guard"
  local tables
  tables=$(nft list tables 2>/dev/null) || true
  [[ $tables == *"table ip provision"* ]] || would "masquerade what pods send outside"
  [[ $tables == *"table inet provision-guard"* ]] || would "close the node's ports to who is outside the lab"
}

run() {
  # First what the other one includes.
  place "$files/guard.nft" $guard
  place "$files/masquerade.nft" $rules
  printf '%s\n' "$unit_text" >$unit
  mkdir -p /etc/systemd/system/multi-user.target.wants
  ln -sf $unit /etc/systemd/system/multi-user.target.wants/
  nft -f $rules
  place "$files/cni.conflist" $conflist
}

step "$@"
