#!/usr/bin/env bash
# Proves pause as process 1 of a PID namespace: orphans are reaped, and SIGTERM
# and SIGINT end it with 0. Needs root.
# usage: pause/test.sh [PAUSE]   without one it is compiled first
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if (($#)); then
  pause=$(realpath "$1")
else
  pause=$dir/pause
  rustc --edition 2024 -C opt-level=s -C panic=abort -o "$pause" "${BASH_SOURCE[0]%/*}/pause.rs"
fi

for signal in TERM INT; do
  # The shell leaves two children behind and becomes pause, as process 1.
  # shellcheck disable=SC2016 # $0 belongs to the inner shell
  unshare --pid --fork --mount-proc sh -c 'sleep 0.2 & sleep 0.4 & exec "$0"' "$pause" &
  outer=$!
  inner=
  for _ in $(seq 50); do
    inner=$(pgrep -P "$outer" -x "$(basename "$pause" | cut -c1-15)") && break
    sleep 0.1
  done
  : "${inner:?pause did not start}"
  sleep 1
  if pgrep -P "$inner" >/dev/null; then
    echo "children were not reaped: $(pgrep -aP "$inner")" >&2
    exit 1
  fi
  [ -d "/proc/$inner" ] || {
    echo "pause ended with its children" >&2
    exit 1
  }
  kill -s "$signal" "$inner"
  code=0
  wait "$outer" || code=$?
  [ "$code" -eq 0 ] || {
    echo "SIG$signal: exit code $code" >&2
    exit 1
  }
done
echo "pause: reaps, and ends on SIGTERM and SIGINT"
