#!/usr/bin/env bash
# What the scripts in this folder share; sourced by them.
set -euo pipefail

root=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
# Survives the checkout: built dependencies, the state of the tests' lab.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/provision-ci
mkdir -p "$cache"
# CI starts from a clean checkout each time; what cargo has built outlives it.
if [[ ${CI-} ]]; then
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target} CARGO_INCREMENTAL=0
fi
# shellcheck disable=SC2034 # for those who source this file
target=${CARGO_TARGET_DIR:-$root/target}

section() {
  printf '\n== %s  %s\n' "$(date -u +%H:%M:%SZ)" "$*"
}

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# as_root COMMAND...: runs it as root, with sudo if need be, without a question.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# alone SECONDS LOCK ARGUMENTS...: goes on as the only script that holds LOCK,
# called with ARGUMENTS again. No child holds it: a daemon that one of them
# starts would for ever.
alone() {
  local seconds=$1 lock=$2
  shift 2
  [[ ${PROVISION_CI_HOLDS-} == "$lock" ]] && return
  export PROVISION_CI_HOLDS=$lock
  exec flock --close --conflict-exit-code 75 --wait "$seconds" "$lock" bash "$0" "$@"
}

# Figures, as the rows of a Markdown table in $figures.
figures=()
# figure MEASURE VALUE WANTED CONDITION: adds a row; the condition is awk's.
figure() {
  local met=no
  if awk "BEGIN { exit !($4) }"; then met=yes; fi
  figures+=("| $1 | $2 | $3 | $met |")
  echo "$1: $2 (wanted: $3) $met" >&2
}
