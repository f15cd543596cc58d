#!/usr/bin/env bash
# Prints what a cgroup has used, five times a second, until the file STOP
# appears or the time is over: a line "TIME USAGE THROTTLED STOLEN ALL" each
# (microseconds since 1970, microseconds of CPU, times, ticks, ticks). Bash
# alone: a further process would be measured with it.
# usage: sample.sh CGROUP STOP SECONDS
set -euo pipefail
export LC_ALL=C

group=${1:?} stop=${2:?} seconds=${3:?}
while [[ ! -e $stop ]] && ((SECONDS < seconds)); do
  usage=0 throttled=0
  while read -r key value; do
    case $key in
    usage_usec) usage=$value ;;
    nr_throttled) throttled=$value ;;
    esac
  done <"$group/cpu.stat" || break
  read -r _ user nice system idle iowait irq softirq steal _ </proc/stat
  echo "${EPOCHREALTIME/./} $usage $throttled $steal $((user + nice + system + idle + iowait + irq + softirq + steal))"
  # A pause without a process: nothing ever comes on this descriptor.
  read -r -t 0.2 -u 9 9<> <(:) || true
done
