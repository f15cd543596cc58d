#!/usr/bin/env bash
# Says whether this machine can become a node: exits 0 with a line about it, or
# 1 with everything that stands in the way. Reads only.
# usage: survey.sh ADDRESS ARCHITECTURE LAB
set -euo pipefail

address=${1:?usage: survey.sh ADDRESS ARCHITECTURE LAB}
wanted=${2:?usage: survey.sh ADDRESS ARCHITECTURE LAB}
lab=${3:?usage: survey.sh ADDRESS ARCHITECTURE LAB}
obstacles=()

# Systems with systemd, cgroups of version 2 and the packages of packages.txt.
release=/etc/os-release
if [[ -r $release ]]; then
  # shellcheck source=/dev/null
  source "$release"
fi
[[ "${ID-} ${VERSION_ID-}" =~ ^(debian 1[23]|ubuntu 24\.04)$ ]] ||
  obstacles+=("it runs ${PRETTY_NAME:-a system without $release}; nodes can be: Debian 12, Debian 13, Ubuntu 24.04")

[[ $(uname -m) == "$wanted" ]] || obstacles+=("it is $(uname -m); the programs are made for $wanted")
((EUID == 0)) || obstacles+=("commands run as $(id -un) and not as root: set nodes.ssh.sudo")
[[ -d /run/systemd/system ]] || obstacles+=("its services are not started by systemd")
[[ -f /sys/fs/cgroup/cgroup.controllers ]] || obstacles+=("its cgroups are not version 2")

# It is by this address that other nodes and kubectl reach it.
addresses=" $(hostname -I 2>/dev/null || true) "
[[ $addresses == *" $address "* ]] ||
  obstacles+=("$address is none of its own addresses (${addresses//[[:cntrl:]]/}): name one that the nodes reach each other by")

of=$(sed -n 's/^LAB=//p' /opt/provision/node.env 2>/dev/null || true)
[[ -z $of || $of == "$lab" ]] || obstacles+=("it is a node of lab \`$of\`: take that down first, or name another machine")

# A machine that runs containers already has other owners.
ours=/var/lib/provision
for program in /usr/bin/dockerd /usr/bin/containerd /usr/bin/crio /usr/bin/kubelet /usr/local/bin/k3s /usr/bin/podman; do
  [[ ! -x $program ]] || obstacles+=("it has $program: containers of others run there; a node is a machine without them")
done
if [[ ! -d $ours ]]; then
  for program in /usr/local/bin/{containerd,crun,kubelet}; do
    [[ ! -e $program ]] || obstacles+=("it has $program, which is not from here")
  done
  for folder in /var/lib/containerd /etc/kubernetes /var/lib/kubelet /var/lib/etcd; do
    [[ ! -d $folder || -z $(ls -A "$folder") ]] || obstacles+=("it has $folder, which is not from here")
  done
  room=$(df --output=avail -B1M /var/lib 2>/dev/null | tail -n 1)
  ((room >= 3000)) || obstacles+=("/var/lib has $room MiB of room; a node takes 3000")
fi

if ((${#obstacles[@]})); then
  printf 'this machine cannot be a node:' >&2
  printf '\n    %s' "${obstacles[@]}" >&2
  exit 1
fi
echo "$PRETTY_NAME, $(nproc) CPUs, $(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo) MiB"
