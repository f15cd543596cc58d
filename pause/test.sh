#!/usr/bin/env bash
# Proves a built pause binary as process 1 of a PID namespace: orphans are
# reaped, and SIGTERM and SIGINT end it with 0. Needs root.
# usage: pause/test.sh PAUSE
set -euo pipefail

pause=$(realpath "${1:?usage: pause/test.sh PAUSE}")

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
