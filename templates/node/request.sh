#!/usr/bin/env bash
# Sends COUNT requests, one after the other, and prints for each a line
# "MICROSECONDS STATUS LAST_LINE_OF_BODY". Bash alone: on an emulated node a
# further process costs more than what is measured.
# usage: request.sh ADDRESS PORT PATH COUNT
set -euo pipefail
export LC_ALL=C

: "${4:?usage: request.sh ADDRESS PORT PATH COUNT}"
for ((i = 0; i < $4; i++)); do
  start=${EPOCHREALTIME/./}
  exec 3<>"/dev/tcp/$1/$2"
  printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$3" "$1" >&3
  IFS= read -r -t 120 status <&3
  last=
  while IFS= read -r -t 120 line <&3 || [[ -n $line ]]; do
    last=$line
  done
  exec 3>&-
  end=${EPOCHREALTIME/./}
  status=${status#* }
  echo "$((end - start)) ${status%% *} ${last%$'\r'}"
done
