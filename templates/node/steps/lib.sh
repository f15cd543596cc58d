#!/usr/bin/env bash
# What every step script shares. A step defines `check` and `run` and ends with
# `step "$@"`. `check` calls `would` once per change it would make.
#
# check: read-only and quick; exits 0 if nothing is to do, 10 if something is.
# run:   makes it so; safe to run twice.
set -euo pipefail

provision=${PROVISION_DIR:-/opt/provision}
# shellcheck disable=SC2034 # used by the steps
files=$provision/files
# shellcheck disable=SC2034 # used by the steps
# What steps remember of what they did with which settings.
stamps=/var/lib/provision
export KUBECONFIG=/etc/kubernetes/admin.conf

# shellcheck source=/dev/null
source "$provision/node.env"

# nft, crun with WasmEdge, and a program's start with WasmEdge's library loaded: our
# box has Debian's packages, other systems get them with a dynamic loader and all
# libraries of their own (src/artifacts/payload.rs).
# shellcheck disable=SC2034 # used by the steps
nft=/usr/sbin/nft
crun=/usr/bin/crun preload=(env LD_PRELOAD=libwasmedge.so.0)
if [[ ${PLAIN:?} == 1 ]]; then
  own=/usr/local/lib/provision
  # shellcheck disable=SC2034
  nft=$own/nft
  crun=/usr/local/bin/crun preload=("$own/ld.so" --library-path "$own" --preload libwasmedge.so.0)
fi

changes=0

# would TEXT: one change that `run` would make.
would() {
  printf '%s\n' "$1"
  changes=1
}

# say TEXT: progress of `run`.
say() {
  printf '%s\n' "$1"
}

# fail TEXT: the step ends here, naming what is wrong.
fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# same A B: both files exist with the same text (no process is started).
same() {
  [[ -f $1 && -f $2 && $(<"$1") == "$(<"$2")" ]]
}

# place SOURCE TARGET: copies SOURCE to TARGET, whole or not at all.
place() {
  mkdir -p "${2%/*}"
  cp "$1" "$2.new"
  mv "$2.new" "$2"
}

# answers HOST PORT: something accepts a TCP connection there.
answers() {
  (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

# within SECONDS COMMAND...: repeats COMMAND each second until it succeeds;
# fails when the time is over.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 1
  done
}

# patient SECONDS: the time to wait for what takes SECONDS at most on a machine
# with virtualisation; an emulated one is about ten times slower.
patient() {
  if [[ ${EMULATED:?} == 1 ]]; then
    echo $(($1 * 10))
  else
    echo "$1"
  fi
}

# missing_links: a line for each thing that a WebAssembly pod needs, whoever
# manages it, and that is not there.
missing_links() {
  local features loader plugin
  features=$($crun --version) || fail "crun does not start: $features"
  [[ $features == *+WASM:wasmedge* ]] || say "crun is built without WasmEdge (+WASM:wasmedge)"
  # The dynamic loader complains about a library that it cannot preload.
  loader=$("${preload[@]}" /usr/bin/true 2>&1) || true
  [[ -z $loader ]] || say "libwasmedge.so.0 does not load: $loader"
  [[ -x /usr/sbin/runc ]] || say "runc is not at /usr/sbin/runc"
  for plugin in bridge host-local portmap loopback; do
    [[ -x /usr/lib/cni/$plugin ]] || say "the CNI plug-in $plugin is not in /usr/lib/cni"
  done
}

# Ends what an earlier step still does here: its caller may have died, or lost
# the connection, and gone on by calling again. Its whole process group goes.
# The lock is held by all that this step starts, until the last of it has ended.
alone() {
  local lock=/run/provision.step group
  exec 8>>$lock
  if ! flock --nonblock 8; then
    group=$(<$lock)
    say "an earlier step is still under way (process group $group): ending it"
    kill -TERM -- "-$group" 2>/dev/null || true
    flock --wait 20 8 || {
      kill -KILL -- "-$group" 2>/dev/null || true
      flock --wait 20 8 || fail "an earlier step does not end (process group $group)"
    }
  fi
  read -r _ _ _ _ group _ </proc/$$/stat
  printf '%s\n' "$group" >$lock
}

step() {
  case "${1-}" in
  check)
    check
    exit $((changes * 10))
    ;;
  run)
    alone
    run
    ;;
  *)
    echo "usage: ${0##*/} check|run" >&2
    exit 2
    ;;
  esac
}
