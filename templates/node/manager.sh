#!/usr/bin/env bash
# Where the container manager keeps what the proof and the benchmark read;
# sourced by their scripts.
# shellcheck disable=SC2034 # used there
# shellcheck source=/dev/null
source "${BASH_SOURCE[0]%/*}/node.env"

case ${RUNTIME_MANAGER:?} in
containerd)
  # A container's cgroup is $scope-ID.scope, its bundle $bundles/ID$inside.
  scope=cri-containerd
  bundles=/run/containerd/io.containerd.runtime.v2.task/k8s.io inside=''
  pidfile=init.pid
  # In the bundle's specification; sandboxes have one too.
  is_container='"io\.kubernetes\.cri\.container-type": *"container"'
  ;;
crio)
  scope=crio
  bundles=/run/containers/storage/overlay-containers inside=/userdata
  pidfile=pidfile
  is_container='"io\.kubernetes\.cri-o\.ContainerType": *"container"'
  ;;
esac

# runtime_of BUNDLE PID: the program that runs a container; nothing for
# containerd's default.
runtime_of() {
  if [[ $RUNTIME_MANAGER == containerd ]]; then
    if [[ -r $1/runtime ]]; then cat "$1/runtime"; fi
    return
  fi
  # CRI-O's monitor, the container's parent, was told it.
  local parent arguments at
  read -r _ _ _ parent _ <"/proc/$2/stat"
  mapfile -d '' -t arguments <"/proc/$parent/cmdline"
  for at in "${!arguments[@]}"; do
    if [[ ${arguments[at]} == -r ]]; then echo "${arguments[at + 1]}"; fi
  done
}
