#!/usr/bin/env bash
# Turns a node's root tree (of customize.sh) into one that boots from its own
# disk, by BIOS or UEFI, with the hardware of VirtualBox: called on the host as
# `bootable.sh ROOT SEED`, where SEED is seed.sh beside this.
#
# Such a machine gets no kernel command line from its host and no systemd
# credentials: systemd reads them from SMBIOS' OEM strings only where that table
# is laid out as QEMU does, and VirtualBox lays it out with two bytes more. So
# a service of our own reads the strings, in either layout.
set -euo pipefail

root=${1:?usage: bootable.sh ROOT SEED} seed=${2:?usage: bootable.sh ROOT SEED}
[[ -d $root/etc/grub.d ]] || {
  echo "bootable.sh: $root is no root tree with GRUB" >&2
  exit 2
}

# put MODE PATH: writes standard input to PATH in the tree.
put() {
  install -D -m "$1" /dev/stdin "$root$2"
}

# --- The root's file system grows below, to the size that the profile says.
put 0644 /etc/fstab <<'EOF'
LABEL=provision-root / ext4 noatime,noinit_itable 0 0
EOF

# --- Initrd: this kernel has its file system as a module.
echo ext4 >>"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u -k all

# --- What differs from lab to lab.
put 0755 /usr/local/lib/provision/seed <"$seed"
put 0644 /etc/systemd/system/provision-seed.service <<'EOF'
[Unit]
Description=This lab's key and address, from the firmware
DefaultDependencies=no
Requires=local-fs.target
After=local-fs.target
Wants=network-pre.target
Before=network-pre.target systemd-networkd.service ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/provision/seed

[Install]
WantedBy=multi-user.target
EOF
put 0755 /usr/local/lib/provision/grow <<'EOF'
#!/bin/sh
# Grows the mounted root's file system to the size that the lab's profile says.
set -eu
[ -r /run/provision/disk-gib ] || exit 0
read -r gib </run/provision/disk-gib
device=$(findmnt --noheadings --output SOURCE /)
blocks=$(dumpe2fs -h "$device" 2>/dev/null | sed -n 's/^Block count: *//p')
[ "$blocks" -ge $((gib * 262144)) ] || resize2fs "$device" "${gib}G"
EOF
put 0644 /etc/systemd/system/provision-grow.service <<'EOF'
[Unit]
Description=Room on the root file system, as the profile says
After=provision-seed.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/provision/grow

[Install]
WantedBy=multi-user.target
EOF
for unit in provision-seed provision-grow; do
  ln -sf "/etc/systemd/system/$unit.service" "$root/etc/systemd/system/multi-user.target.wants/"
done

# --- GRUB: the one kernel, at once. An `update-grub` in the machine finds the
# same words in /etc/default/grub.
words='rw console=tty0 console=ttyS0 net.ifnames=0 panic=10 quiet'
kernels=("$root"/boot/vmlinuz-*)
((${#kernels[@]} == 1)) || {
  echo "bootable.sh: ${#kernels[@]} kernels in $root/boot instead of one" >&2
  exit 1
}
version=${kernels[0]##*/vmlinuz-}
put 0644 /etc/default/grub <<EOF
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISABLE_OS_PROBER=true
GRUB_CMDLINE_LINUX="$words"
EOF
put 0644 /boot/grub/grub.cfg <<EOF
set timeout=0
menuentry 'Debian, Linux $version' {
  linux /boot/vmlinuz-$version root=LABEL=provision-root $words
  initrd /boot/initrd.img-$version
}
EOF
