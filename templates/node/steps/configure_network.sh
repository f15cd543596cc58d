#!/usr/bin/env bash
# Configures the pods' network: a bridge with this node's part of the pods'
# addresses, routes to the other nodes' parts, and one masquerading rule for
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
ExecStart=/usr/sbin/nft -f $rules

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

# The routes that there are, and those that there should be: "PODS NODE" a line.
routed() {
  local pods via
  ip -4 route show proto 157 | while read -r pods _ via _; do echo "$pods $via"; done
}
wanted_routes() {
  [[ ! -f $files/routes ]] || grep -v '^$' "$files/routes"
}

check() {
  same "$files/cni.conflist" $conflist || would "write $conflist (${NODE_PODS:?})"
  same "$files/masquerade.nft" $rules || would "write $rules"
  [[ -f $unit && $(<$unit) == "$unit_text" ]] || would "load them at each boot"
  same "$files/guard.nft" $guard || would "write $guard"
  local tables
  tables=$(nft list tables 2>/dev/null) || true
  [[ $tables == *"table ip provision"* ]] || would "masquerade what pods send outside"
  [[ $tables == *"table inet provision-guard"* ]] || would "close the node's ports to who is outside the lab"
  [[ $SINGLE_NODE == 1 && ! -f $routes ]] || {
    [[ -f $routes && $(<$routes) == "$routes_text" ]] || would "set the routes at each boot"
    [[ $(routed | sort) == "$(wanted_routes | sort)" ]] || would "route to the pods of the other nodes"
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
  nft -f $rules
  [[ $SINGLE_NODE == 1 && ! -f $routes ]] || {
    unit $routes "$routes_text"
    bash "$provision/routes.sh" || fail "nodes that are not on one segment are not supported yet: their pods would not reach each other"
  }
  place "$files/cni.conflist" $conflist
}

step "$@"
