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

# Checks, counted in $passed. A script that uses them makes a folder $work, names
# $program, and ends by `result STATUS`.
work=${work-} program=${program-}
passed=0
# ok TITLE COMMAND...: the command must succeed.
ok() {
  local title=$1
  shift
  if ! "$@" >"$work/check" 2>&1; then
    tail -n 40 "$work/check"
    echo "test $title ... FAILED"
    return 1
  fi
  passed=$((passed + 1))
  echo "test $title ... ok"
}

# has FILE PATTERN: FILE holds a line that matches; its end is shown if not.
has() {
  grep -Eq -- "$2" "$1" && return 0
  printf 'no line of %s matches: %s\n' "$1" "$2"
  tail -n 40 "$1"
  return 1
}

lacks() {
  ! grep -E -- "$2" "$1"
}

equal() {
  [[ $1 == "$2" ]] && return 0
  printf 'is:     %s\nwanted: %s\n' "$1" "$2"
  return 1
}

# ends MINUTES STATUS NAME COMMAND...: the command must end with STATUS; what it
# prints is in $work/NAME.out and $work/NAME.err, its time in $seconds.
ends() {
  local minutes=$1 wanted=$2 name=$3 status=0 started=${EPOCHREALTIME/./}
  shift 3
  timeout --kill-after=30 "${minutes}m" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null || status=$?
  # shellcheck disable=SC2034 # for those who source this file
  seconds=$(awk "BEGIN { printf \"%.1f\", (${EPOCHREALTIME/./} - $started) / 1e6 }")
  sed 's/^/    /' "$work/$name.err"
  echo "${*##*/}: exit status $status after $seconds s"
  ok "${*##*/} ends with $wanted" equal "$status" "$wanted"
}

# run MINUTES STATUS NAME ARGUMENTS...: the same of $program.
run() {
  ends "$1" "$2" "$3" "$program" "${@:4}"
}

# result STATUS: the last line, and the script's end.
result() {
  echo "test result: $( (($1)) && echo FAILED || echo ok). $passed passed; $(($1 != 0)) failed"
  exit "$1"
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
