#!/usr/bin/env bash
# Several control planes share one address for the cluster's API: keepalived
# gives it to one whose API server is well.
source "${BASH_SOURCE[0]%/*}/lib.sh"

config=/etc/keepalived/keepalived.conf

check() {
  same "$files/keepalived.conf" $config || would "write $config (${API_ADDRESS:?})"
  [[ $(systemctl is-active keepalived.service) == active ]] || would "start keepalived"
}

run() {
  [[ -x /usr/sbin/keepalived ]] || fail "keepalived is not installed: the box is older than this profile"
  local changed=
  same "$files/keepalived.conf" $config || changed=yes
  place "$files/keepalived.conf" $config
  systemctl enable --quiet keepalived.service
  if [[ $changed ]]; then systemctl restart keepalived.service; else systemctl start keepalived.service; fi
  within "$(patient 30)" answered || fail "nobody takes the address $API_ADDRESS: $(journalctl --no-pager -o cat -n 5 -u keepalived.service)"
}

# A node has taken the address: this one, or one that answers for it.
answered() {
  [[ $(ip -4 -oneline address show to "$API_ADDRESS") ]] || answers "$API_ADDRESS" 22
}

step "$@"
