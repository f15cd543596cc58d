#!/usr/bin/env bash
# Configures and starts containerd, and verifies the chain that a WebAssembly
# pod needs: handler, annotations, crun with WasmEdge, WasmEdge's library.
source "${BASH_SOURCE[0]%/*}/lib.sh"
shopt -s extglob

config=/etc/containerd/config.toml
socket=/run/containerd/containerd.sock
# Written when everything was verified, with the configuration verified.
verified=$stamps/install_runtime

check() {
  same "$files/containerd.toml" $config || would "write $config"
  same "$files/go.env" "$stamps/go.env" || would "set containerd's environment"
  [[ -S $socket ]] || would "start containerd"
  same "$files/containerd.toml" "$verified" || would "verify crun, WasmEdge and containerd's handlers"
}

# Names each link of the chain that is missing; fails if any is.
verify() {
  local missing=() told effective
  told=$(missing_links)
  [[ -z $told ]] || mapfile -t missing <<<"$told"

  effective=$(containerd config dump 2>&1) || fail "containerd refuses $config: $effective"
  local prefix="[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes" handler
  for handler in runc crun; do
    local table options
    table=$(section "$effective" "$prefix.$handler]")
    options=$(section "$effective" "$prefix.$handler.options]")
    [[ $table == *"runtime_type = 'io.containerd.runc.v2'"* ]] ||
      missing+=("containerd has no handler $handler of type io.containerd.runc.v2")
    [[ $options == *"SystemdCgroup = true"* ]] ||
      missing+=("containerd's handler $handler does not use systemd's cgroups")
    [[ $handler == runc || $options == *"BinaryName = '$crun'"* ]] ||
      missing+=("containerd's handler crun does not run $crun")
    [[ $handler == runc || $table == *"'module.wasm.image/*'"*"'run.oci.handler'"* ]] ||
      missing+=("containerd's handler crun does not pass the annotations module.wasm.image/* and run.oci.handler")
  done
  [[ $effective == *"sandbox = 'registry.k8s.io/pause:"* ]] || missing+=("containerd names no sandbox image")
  [[ $effective == *"bin_dirs = ['/usr/lib/cni']"* ]] || missing+=("containerd does not look for CNI plug-ins in /usr/lib/cni")

  ((${#missing[@]} == 0)) || fail "the runtime is not complete:$(printf '\n  %s' "${missing[@]}")"
}

# section TEXT HEADER: the lines of TEXT (TOML) between HEADER and the next one.
section() {
  local rest=${1#*"$2"}
  [[ $rest != "$1" ]] || return 0
  printf '%s' "${rest%%$'\n'*( )\[*}"
}

run() {
  local changed=
  if ! same "$files/containerd.toml" $config || ! same "$files/go.env" "$stamps/go.env"; then
    place "$files/containerd.toml" $config
    place "$files/go.env" "$stamps/go.env"
    changed=yes
  fi
  if [[ $changed ]]; then
    rm -f "$verified"
    systemctl restart --no-block containerd.service
  else
    systemctl start --no-block containerd.service
  fi
  # Verified while containerd starts.
  verify
  within "$(patient 30)" answers_unix || {
    journalctl --no-pager -n 20 -u containerd.service >&2
    fail "containerd does not start; its last lines are above"
  }
  say "$(containerd --version | cut -d' ' -f1,3), $($crun --version | head -n 1), $(runc --version | head -n 1)"
  place "$files/containerd.toml" "$verified"
}

answers_unix() {
  systemctl is-active --quiet containerd.service
}

step "$@"
