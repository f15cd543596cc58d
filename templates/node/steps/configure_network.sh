#!/usr/bin/env bash
# Configures the pods' network: a bridge, addresses out of POD_CIDR, and one
# masquerading rule for what leaves it.
source "${BASH_SOURCE[0]%/*}/lib.sh"

conflist=/etc/cni/net.d/10-provision.conflist
rules=/etc/provision/masquerade.nft
unit=/etc/systemd/system/provision-masquerade.service
unit_text="[Unit]
Description=Masquerading for pods
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
  nft list table ip provision >/dev/null 2>&1 || would "masquerade what pods send outside"
}

run() {
  place "$files/masquerade.nft" $rules
  printf '%s\n' "$unit_text" >$unit
  mkdir -p /etc/systemd/system/multi-user.target.wants
  ln -sf $unit /etc/systemd/system/multi-user.target.wants/
  nft -f $rules
  place "$files/cni.conflist" $conflist
}

step "$@"
