#!/usr/bin/env bash
# Installs what a node needs from the machine's own distribution, and the
# services and settings around it. A box of ours has all of that inside.
source "${BASH_SOURCE[0]%/*}/lib.sh"

list=$provision/packages.txt
# Written when all of it was there, with what it was made from.
made=$stamps/system.sh
# What this step has installed, a package a line; `down` tells it.
installed=$stamps/packages

# Packages of the list that are missing.
missing() {
  local wanted=() state name
  while read -r name _; do
    [[ -z $name || $name == '#'* ]] || wanted+=("$name")
  done <"$list"
  # shellcheck disable=SC2016 # dpkg-query's own format
  local known
  known=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null) || true
  for name in "${wanted[@]}"; do
    state=$'\n'$known$'\n'
    [[ $state == *$'\n'"installed $name"$'\n'* ]] || printf '%s\n' "$name"
  done
}

check() {
  [[ ${PLAIN:?} == 1 ]] || return 0
  local packages
  packages=$(missing)
  [[ -z $packages ]] || would "install ${packages//$'\n'/ }"
  same "$provision/system.sh" "$made" || would "set the kernel and the services of containerd and the kubelet"
}

apt() {
  apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

run() {
  [[ $PLAIN == 1 ]] || return 0
  bash "$provision/survey.sh" "${NODE_IP:?}" "$(uname -m)" "${LAB:?}" || fail "see above"
  local packages
  mapfile -t packages < <(missing)
  if ((${#packages[@]})); then
    export DEBIAN_FRONTEND=noninteractive
    # One that was cut off before.
    dpkg --configure -a || fail "dpkg --configure -a fails: an earlier installation is half done"
    say "apt-get update"
    apt update || fail "apt-get update fails: the machine needs its distribution's packages"
    say "apt-get install ${packages[*]}"
    # An emulated disk need not be waited for: the machine can be set up again.
    local unsafe=()
    [[ ${EMULATED:?} == 0 ]] || unsafe=(-o Dpkg::Options::=--force-unsafe-io)
    mkdir -p "$stamps"
    printf '%s\n' "${packages[@]}" >>"$installed"
    apt install --no-install-recommends "${unsafe[@]}" "${packages[@]}" || fail "apt-get install fails; what it said is above"
  fi
  # shellcheck disable=SC2034 # for the script: this machine itself
  local root=''
  # shellcheck source=../system.sh
  source "$provision/system.sh"
  modprobe -a overlay br_netfilter
  sysctl --quiet --load=/etc/sysctl.d/60-kubernetes.conf
  systemctl daemon-reload
  systemctl --quiet enable containerd.service kubelet.service
  place "$provision/system.sh" "$made"
}

step "$@"
