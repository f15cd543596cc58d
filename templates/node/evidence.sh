#!/usr/bin/env bash
# Prints what the kernel and the runtime say of a container, a line KEY=VALUE
# each: the proof of how it is executed. Reads only.
# usage: evidence.sh CONTAINER_ID
set -euo pipefail

: "${1:?usage: evidence.sh CONTAINER_ID}"
# shellcheck source=/dev/null
source "${BASH_SOURCE[0]%/*}/manager.sh"
bundle=${bundles:?}/$1${inside?}

if [[ ! -r $bundle/${pidfile:?} ]]; then
  echo "running=0"
  exit 0
fi
pid=$(<"$bundle/$pidfile")
if [[ ! -d /proc/$pid ]]; then
  echo "running=0"
  exit 0
fi
echo "running=1"
echo "pid=$pid"
echo "comm=$(<"/proc/$pid/comm")"
mapfile -d '' -t arguments <"/proc/$pid/cmdline"
echo "cmdline=${arguments[*]}"

libwasmedge=0
anonymous_executable=0
while read -r _ permissions _ _ _ path; do
  case $path in
  *libwasmedge*) libwasmedge=1 ;;
  '') [[ $permissions == *x* ]] && anonymous_executable=$((anonymous_executable + 1)) ;;
  esac
done <"/proc/$pid/maps"
echo "libwasmedge=$libwasmedge"
echo "anonymous_executable=$anonymous_executable"

while read -r key value _; do
  [[ $key == VmRSS: ]] && echo "rss_kib=$value"
done <"/proc/$pid/status"

# The OCI spec that the runtime was given, and the runtime's own binary.
config=$(<"$bundle/config.json")
variant=
if [[ $config =~ \"module\.wasm\.image/variant\":\ *\"([^\"]*)\" ]]; then
  variant=${BASH_REMATCH[1]}
fi
echo "variant=$variant"
echo "runtime=$(runtime_of "$bundle" "$pid")"
