#!/usr/bin/env bash
# Configures the pods' network: a bridge with this node's part of the pods'
# addresses, ways to the other nodes' parts, and one masquerading rule for
# what leaves them; and closes the node's own ports to whoever is outside the lab.
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
ExecStart=$nft -f $rules

[Install]
WantedBy=multi-user.target"
routes=/etc/systemd/system/provision-routes.service
routes_text="[Unit]
Description=Routes to the pods of other nodes
After=systemd-networkd.service
PartOf=systemd-networkd.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/bash $provision/routes.sh
# The machine's address may come later.
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target"

check() {
  same "$files/cni.conflist" $conflist || would "write $conflist (${NODE_PODS:?})"
  same "$files/masquerade.nft" $rules || would "write $rules"
  [[ -f $unit && $(<$unit) == "$unit_text" ]] || would "load them at each boot"
  same "$files/guard.nft" $guard || would "write $guard"
  local tables
  tables=$($nft list tables 2>/dev/null) || true
  [[ $tables == *"table ip provision"* ]] || would "masquerade what pods send outside"
  [[ $tables == *"table inet provision-guard"* ]] || would "close the node's ports to who is outside the lab"
  [[ $SINGLE_NODE == 1 && ! -f $routes ]] || {
    [[ -f $routes && $(<$routes) == "$routes_text" ]] || would "set the routes at each boot"
    local ways
    ways=$(bash "$provision/routes.sh" check)
    [[ ! $ways ]] || would "$ways"
  }
}

# unit FILE TEXT: a unit that starts at each boot.
unit() {
  printf '%s\n' "$2" >"$1"
  mkdir -p /etc/systemd/system/multi-user.target.wants
  ln -sf "$1" /etc/systemd/system/multi-user.target.wants/
}

run() {
  # First what the other one includes.
  place "$files/guard.nft" $guard
  place "$files/masquerade.nft" $rules
  unit $unit "$unit_text"
  $nft -f $rules
  [[ $SINGLE_NODE == 1 && ! -f $routes ]] || {
    unit $routes "$routes_text"
    # What it makes of "$files/routes".
    bash "$provision/routes.sh"
  }
  place "$files/cni.conflist" $conflist
}

step "$@"
