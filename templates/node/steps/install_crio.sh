#!/usr/bin/env bash
# Installs, configures and starts CRI-O in containerd's place, and verifies what
# a WebAssembly pod needs. The packages are the project's own.
source "${BASH_SOURCE[0]%/*}/lib.sh"

key=/etc/apt/keyrings/cri-o.asc
list=/etc/apt/sources.list.d/cri-o.list
config=/etc/crio/crio.conf.d/90-provision.conf
unit=/etc/systemd/system/crio.service.d/provision.conf
socket=${CRI_SOCKET#unix://}
# Written when everything was verified, with the configuration verified.
verified=$stamps/install_crio

check() {
  [[ -x /usr/bin/crio ]] || would "install CRI-O from ${CRIO_REPOSITORY:?}"
  same "$files/crio.conf" $config || would "write $config"
  same "$files/go.env" "$stamps/go.env" || would "set CRI-O's environment"
  [[ -S $socket ]] || would "start CRI-O"
  same "$files/crio.conf" "$verified" || would "verify crun, WasmEdge and CRI-O's handlers"
}

install_packages() {
  [[ -x /usr/bin/crio && -x /usr/bin/skopeo ]] && return
  mkdir -p ${key%/*}
  curl --silent --show-error --fail --location --max-time 60 ${PROXY_HTTPS:+--proxy "$PROXY_HTTPS"} \
    --output $key.new "$CRIO_REPOSITORY/Release.key" || fail "$CRIO_REPOSITORY/Release.key cannot be fetched"
  mv $key.new $key
  printf 'deb [signed-by=%s] %s/ /\n' $key "$CRIO_REPOSITORY" >$list
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  # skopeo puts our images into CRI-O's store.
  apt-get install --yes --no-install-recommends cri-o skopeo
}

verify() {
  local missing=() told effective
  told=$(missing_links)
  [[ -z $told ]] || mapfile -t missing <<<"$told"
  effective=$(crio status config 2>&1) || fail "CRI-O does not tell its configuration: $effective"
  local path
  for path in $crun /usr/sbin/runc; do
    [[ $effective == *"runtime_path = \"$path\""* ]] || missing+=("CRI-O has no handler that runs $path")
  done
  ((${#missing[@]} == 0)) || fail "the runtime is not complete:$(printf '\n  %s' "${missing[@]}")"
}

run() {
  install_packages
  place "$files/crio.conf" $config
  place "$files/go.env" "$stamps/go.env"
  mkdir -p "${unit%/*}"
  printf '[Service]\nEnvironmentFile=-/opt/provision/files/go.env\n' >$unit
  rm -f "$verified"
  systemctl daemon-reload
  systemctl enable --quiet crio.service
  systemctl restart crio.service || {
    journalctl --no-pager -n 20 -u crio.service >&2
    fail "CRI-O does not start; its last lines are above"
  }
  verify
  say "$(crio --version | head -n 1), $($crun --version | head -n 1), $(runc --version | head -n 1)"
  place "$files/crio.conf" "$verified"
}

step "$@"
