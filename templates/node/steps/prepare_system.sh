#!/usr/bin/env bash
# Prepares the system: name, resolver, kernel modules and settings, no swap. A
# machine that is not the lab's own keeps its name and its resolver.
source "${BASH_SOURCE[0]%/*}/lib.sh"

hosts="127.0.0.1 localhost
${NODE_IP:?} ${NODE_NAME:?}"
resolver="nameserver ${NAMESERVER?}
options timeout:2 attempts:2"
# In the hosts file of a machine that is not ours.
entry="$NODE_IP $NODE_NAME # provision"

# text FILE: its text, or nothing.
text() {
  [[ ! -f $1 ]] || printf '%s' "$(<"$1")"
}

swaps() {
  local lines
  mapfile -t lines </proc/swaps
  ((${#lines[@]} > 1))
}

check() {
  if [[ ${OWN:?} == 1 ]]; then
    [[ $(</proc/sys/kernel/hostname) == "$NODE_NAME" && $(text /etc/hostname) == "$NODE_NAME" ]] ||
      would "name the machine $NODE_NAME"
    [[ $(text /etc/hosts) == "$hosts" ]] || would "write /etc/hosts ($NODE_IP is $NODE_NAME)"
    [[ $(text /etc/resolv.conf) == "$resolver" ]] || would "resolve names by $NAMESERVER"
  else
    [[ $'\n'$(text /etc/hosts)$'\n' == *$'\n'"$entry"$'\n'* ]] || would "add to /etc/hosts that $NODE_IP is $NODE_NAME"
  fi
  local module
  for module in overlay br_netfilter; do
    [[ -d /sys/module/$module ]] || would "load the kernel module $module"
  done
  [[ $(</proc/sys/net/ipv4/ip_forward) == 1 ]] || would "forward IPv4 packets"
  [[ $(text /proc/sys/net/bridge/bridge-nf-call-iptables) == 1 ]] || would "filter bridged packets"
  ! swaps || would "switch swap off"
}

run() {
  if [[ $OWN == 1 ]]; then
    printf '%s\n' "$NODE_NAME" >/etc/hostname
    printf '%s' "$NODE_NAME" >/proc/sys/kernel/hostname
    printf '%s\n' "$hosts" >/etc/hosts
    printf '%s\n' "$resolver" >/etc/resolv.conf
  elif [[ $'\n'$(text /etc/hosts)$'\n' != *$'\n'"$entry"$'\n'* ]]; then
    sed -i '/ # provision$/d' /etc/hosts
    printf '%s\n' "$entry" >>/etc/hosts
  fi
  [[ -d /sys/module/overlay && -d /sys/module/br_netfilter ]] || modprobe -a overlay br_netfilter
  printf '1' >/proc/sys/net/ipv4/ip_forward
  printf '1' >/proc/sys/net/bridge/bridge-nf-call-iptables
  printf '1' >/proc/sys/net/bridge/bridge-nf-call-ip6tables
  if swaps; then
    swapoff -a
    # Marked, so that it can be taken back.
    sed -i '/^[^#].*\sswap\s/s/^/#provision# /' /etc/fstab
  fi
}

step "$@"
