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

# lacks FILE PATTERN: FILE is there, and no line of it matches.
lacks() {
  [[ -r $1 ]] || {
    echo "there is no $1"
    return 1
  }
  ! grep -E -- "$2" "$1"
}

equal() {
  [[ $1 == "$2" ]] && return 0
  printf 'is:     %s\nwanted: %s\n' "$1" "$2"
  return 1
}

# tries N SECONDS COMMAND...: runs it until it succeeds, N times at most, SECONDS
# between; says nothing, or what the last one said if none does.
tries() {
  local left=$1 pause=$2
  shift 2
  until "$@" >"$work/try" 2>&1; do
    ((--left > 0)) || {
      tail -n 40 "$work/try"
      return 1
    }
    sleep "$pause"
  done
}

# What `attempt` runs. A script that is told to end ends it first:
#   trap stopped INT TERM
running=
stopped() {
  trap '' INT TERM
  if [[ $running ]]; then
    kill "$running" 2>/dev/null
    wait "$running"
  fi || true
  exit 143
}

# attempt MINUTES NAME COMMAND...: what it prints is in $work/NAME.out and
# $work/NAME.err, its exit status in $status, its time in $seconds.
attempt() {
  local minutes=$1 name=$2 started=${EPOCHREALTIME/./}
  shift 2
  status=0
  timeout --kill-after=30 "${minutes}m" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
  running=$!
  wait "$running" || status=$?
  running=
  # shellcheck disable=SC2034 # for those who source this file
  seconds=$(awk "BEGIN { printf \"%.1f\", (${EPOCHREALTIME/./} - $started) / 1e6 }")
  sed 's/^/    /' "$work/$name.err"
  echo "${*##*/}: exit status $status after $seconds s"
}

# ends MINUTES STATUS NAME COMMAND...: the same, and it must end with STATUS.
ends() {
  local wanted=$2
  attempt "$1" "$3" "${@:4}"
  shift 3
  ok "${*##*/} ends with $wanted" equal "$status" "$wanted"
}

# run MINUTES STATUS NAME ARGUMENTS...: the same of $program.
run() {
  ends "$1" "$2" "$3" "$program" "${@:4}"
}

# on_node COMMAND...: on the first node of $program's lab.
on_node() {
  timeout 300 "$program" ssh -- "$@"
}

# on NODE COMMAND...: on that node of it.
on() {
  timeout 300 "$program" ssh "$1" -- "${@:2}"
}

# ready NUMBER: so many nodes are ready, by the script's own `kubectl`; all of
# them are in $work/nodes.
ready() {
  kubectl get nodes --no-headers >"$work/nodes" && cat "$work/nodes" &&
    [[ $(awk '$2 == "Ready" { n++ } END { print n + 0 }' "$work/nodes") == "$1" ]]
}

# ended SECONDS: $beside, which runs beside the script, must end within them; its
# exit status is in $status.
ended() {
  local deadline=$((SECONDS + $1))
  while kill -0 "$beside" 2>/dev/null; do
    ((SECONDS < deadline)) || die "provision did not end within $1 s"
    sleep 0.05
  done
  status=0
  wait "$beside" || status=$?
  beside=
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
