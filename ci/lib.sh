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
