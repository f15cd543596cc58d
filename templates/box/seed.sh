#!/bin/sh
# Runs at a machine's boot and takes over what the firmware's OEM strings
# (SMBIOS type 11) say of its lab: `provision.key=` is root's authorised key,
# `provision.node=` name, address with prefix, the lab card's MAC and the size
# of the root's file system in GiB. Others' strings are left alone.
# usage: seed [TABLE [ROOT]]
set -eu
export LC_ALL=C
table=${1:-/sys/firmware/dmi/entries/11-0/raw}
root=${2:-}
[ -r "$table" ] || {
  echo "no OEM strings in the firmware ($table)" >&2
  exit 0
}
# The strings end in NUL; what the table's head leaves in front of the first
# one goes with the match.
strings=$(tr '\0' '\n' <"$table" | sed -n 's/^.*provision\.\([a-z]*\)=/\1 /p')
echo "$strings" | while read -r name value; do
  case $name in
  key)
    (umask 077 && mkdir -p "$root/root/.ssh" && printf '%s\n' "$value" >"$root/root/.ssh/authorized_keys")
    ;;
  node)
    # shellcheck disable=SC2086 # its words
    set -- $value
    mkdir -p "$root/run/systemd/network" "$root/run/provision"
    printf '[Match]\nMACAddress=%s\n\n[Network]\nAddress=%s\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' "$3" "$2" \
      >"$root/run/systemd/network/05-lab.network"
    printf '%s\n' "$4" >"$root/run/provision/disk-gib"
    [ -n "$root" ] || [ -s /etc/hostname ] || printf '%s' "$1" >/proc/sys/kernel/hostname
    ;;
  esac
done
