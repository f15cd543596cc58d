#!/usr/bin/env bash
# Turns a fresh Debian 13 root tree into a node's: called on the host, as root
# or in mmdebstrap's user namespace, as `customize.sh ROOT`. What differs from
# lab to lab (names, addresses, keys) arrives at boot and is not in the tree.
set -euo pipefail

root=${1:?usage: customize.sh ROOT}
[[ -d $root/etc/systemd ]] || {
  echo "customize.sh: $root is no root tree with systemd" >&2
  exit 2
}

# What every node has, a machine that exists already too.
# shellcheck source=../node/system.sh
source "${BASH_SOURCE[0]%/*}/system.sh"

# --- Disk: one ext4 file system with this label, grown at boot to its disk.
# noinit_itable: no background zeroing of inode tables after growing.
put 0644 /etc/fstab <<'EOF'
LABEL=provision-root / ext4 noatime,noinit_itable,x-systemd.growfs 0 0
EOF

# --- Initrd: only what the root disk needs (virtio, or VirtualBox's AHCI).
put 0644 /etc/initramfs-tools/conf.d/provision <<'EOF'
MODULES=list
BUSYBOX=n
COMPRESS=zstd
FSTYPE=ext4
EOF
put 0644 /etc/initramfs-tools/modules <<'EOF'
virtio_blk
virtio_scsi
ahci
sd_mod
EOF
# The kernel makes /dev/vda by itself: no udev before the root is mounted. What
# is left of its scripts: the root gets the /dev that the kernel filled, since
# its own may be empty (a tree made without root has no device nodes).
put 0755 /etc/initramfs-tools/scripts/init-top/udev <<'EOF'
#!/bin/sh
exit 0
EOF
put 0755 /etc/initramfs-tools/scripts/init-bottom/udev <<'EOF'
#!/bin/sh
[ "$1" = prereqs ] || mount -n -o move /dev "${rootmnt:?}/dev"
EOF
chroot "$root" update-initramfs -u -k all

# --- Network: DHCP on the machine's own cards; hands off what CNI makes.
put 0644 /etc/systemd/network/10-machine.network <<'EOF'
[Match]
Name=en* eth*

[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no

[DHCPv4]
ClientIdentifier=mac
SendRelease=no
EOF
# virtio_net: sooner than udev would. There is no swap, and none is made.
put 0644 /etc/modules-load.d/virtio.conf <<'EOF'
virtio_net
EOF

# --- SSH: root by key only; the key comes as a systemd credential. Without
# PAM a login needs no user manager, which an emulated guest starts in seconds.
put 0644 /etc/ssh/sshd_config.d/10-provision.conf <<'EOF'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
X11Forwarding no
PrintMotd no
PrintLastLog no
MaxSessions 64
MaxStartups 64
EOF
rm -f "$root"/etc/ssh/ssh_host_*
# As Debian's, but without waiting for the network, and without a second start
# of the program to check its configuration.
put 0644 /etc/systemd/system/ssh.service <<'EOF'
[Unit]
Description=OpenBSD Secure Shell server

[Service]
ExecStart=/usr/sbin/sshd -D
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=on-failure
RestartPreventExitStatus=255
Type=notify
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755

[Install]
WantedBy=multi-user.target
EOF
put 0755 /usr/local/lib/provision/host-key <<'EOF'
#!/bin/sh
# Makes this machine's host key at its first boot, and says it on the console
# at each, so that whoever holds the console can pin it.
set -eu
key=/etc/ssh/ssh_host_ed25519_key
[ -s $key.pub ] || {
  rm -f $key
  ssh-keygen -q -t ed25519 -N '' -C '' -f $key
}
read -r type blob _ <$key.pub
printf '\r\nprovision-host-key: %s %s\r\n' "$type" "$blob" >/dev/console
EOF
put 0644 /etc/systemd/system/provision-host-key.service <<'EOF'
[Unit]
Description=SSH host key, made once and printed on the console
DefaultDependencies=no
Requires=local-fs.target
After=local-fs.target
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/provision/host-key

[Install]
WantedBy=ssh.service
EOF

put 0644 /root/.profile <<'EOF'
export KUBECONFIG=/etc/kubernetes/admin.conf
EOF
# --- The journal stays in memory: less to write, nothing to flush at boot.
put 0644 /etc/systemd/journald.conf.d/provision.conf <<'EOF'
[Journal]
Storage=volatile
RuntimeMaxUse=64M
ForwardToSyslog=no
ForwardToWall=no
Audit=no
EOF
# A unit that hangs must not hold the machine for 90 s each way.
put 0644 /etc/systemd/system.conf.d/provision.conf <<'EOF'
[Manager]
DefaultTimeoutStopSec=20s
EOF

# --- Units that a lab's node has no use for: each costs boot time or wakes
# the machine while it idles.
masked=(
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
  e2scrub_reap.service fstrim.timer man-db.timer systemd-tmpfiles-clean.timer
  getty.target getty-static.service getty@tty1.service console-getty.service
  serial-getty@ttyS0.service autovt@.service
  nftables.service iptables.service x11-common.service remote-fs.target
  sshd-keygen.service ssh.socket
  systemd-logind.service systemd-pstore.service systemd-rfkill.service
  systemd-rfkill.socket systemd-networkd-wait-online.service
  systemd-firstboot.service systemd-hwdb-update.service ldconfig.service
  systemd-journal-catalog-update.service systemd-update-done.service
  systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
  systemd-boot-check-no-failures.service
  systemd-ask-password-console.path systemd-ask-password-wall.path
  systemd-journald-audit.socket systemd-confext.service systemd-sysext.service
  systemd-pcrphase.service systemd-pcrphase-sysinit.service
  systemd-pcrmachine.service systemd-tpm2-setup.service
  systemd-tpm2-setup-early.service systemd-udev-load-credentials.service
  sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount
  sys-kernel-config.mount sys-fs-fuse-connections.mount run-lock.mount
  modprobe@configfs.service modprobe@fuse.service
  kmod-static-nodes.service systemd-sysusers.service
  systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service
  systemd-random-seed.service systemd-journal-flush.service
  systemd-networkd-persistent-storage.service systemd-user-sessions.service
  systemd-hostnamed.socket systemd-sysext.socket systemd-creds.socket
  systemd-initctl.socket
)
for unit in "${masked[@]}"; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# The same for what would make units at each boot.
mkdir -p "$root/etc/systemd/system-generators"
for generator in getty gpt-auto hibernate-resume rc-local run ssh system-update sysv tpm2; do
  ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$generator-generator"
done
# Enabled by hand: `systemctl enable` in a tree of another machine needs more.
enable() {
  mkdir -p "$root/etc/systemd/system/$2.wants"
  ln -sf "$1" "$root/etc/systemd/system/$2.wants/${1##*/}"
}
enable /usr/lib/systemd/system/systemd-networkd.service multi-user.target
enable /etc/systemd/system/ssh.service multi-user.target
enable /etc/systemd/system/provision-host-key.service ssh.service
enable /etc/systemd/system/containerd.service multi-user.target
enable /etc/systemd/system/kubelet.service multi-user.target

# keepalived starts where a step enables it: with several control planes.
rm -f "$root/etc/systemd/system/multi-user.target.wants/keepalived.service"

# --- The machine's own marks: made at boot, not shared by all labs.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed" "$root/etc/hostname"
ln -sf /etc/machine-id "$root/var/lib/dbus/machine-id"
put 0644 /etc/hosts <<'EOF'
127.0.0.1 localhost
EOF
# The host's resolver leaked in here; the first step writes the lab's.
: >"$root/etc/resolv.conf"

# --- Left over from making the tree.
# keepalived's library for SNMP brings all of Perl, which nothing here runs.
rm -rf "$root"/usr/share/perl "$root"/usr/lib/*/perl "$root"/usr/share/misc/pci.ids
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* "$root"/run/*
rm -f "$root"/boot/*.old "$root"/initrd.img.old "$root"/vmlinuz.old
