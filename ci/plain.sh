# A plain Debian for the tests (13, or the suite in $plain_suite), with an SSH
# server, sudo and none of a node's packages; sourced by those that boot it. Its apt
# reaches Debian through a small proxy on its network's gateway, since it may have no
# way out of its own.
# shellcheck shell=bash
source "${BASH_SOURCE[0]%/*}/lib.sh"

plain_port=8163 plain_suite=${plain_suite-trixie}
plain_packages='linux-image-cloud-amd64,initramfs-tools,zstd,systemd-sysv,udev,dbus,openssh-server,sudo,netbase,grub-pc-bin,grub-common'

# A check runs it, where `set -e` does not hold.
make_plain() {
  rm -f "$cache/plain-$plain_suite"-*.tar
  # shellcheck disable=SC2016 # mmdebstrap hands the tree to its hooks as $1
  mmdebstrap --format=tar --variant=minbase --include="$plain_packages" --aptopt='Apt::Install-Recommends "false"' \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --customize-hook='printf "MODULES=list\nBUSYBOX=n\nCOMPRESS=zstd\nFSTYPE=ext4\n" >"$1/etc/initramfs-tools/conf.d/plain"' \
    --customize-hook='printf "virtio_blk\nvirtio_pci\n" >>"$1/etc/initramfs-tools/modules"; chroot "$1" update-initramfs -u -k all' \
    --customize-hook='chroot "$1" systemctl enable systemd-networkd ssh' \
    --customize-hook='rm -f "$1"/etc/ssh/ssh_host_*' \
    "$plain_suite" "$plain_image.new" ${PROVISION_DEBIAN_MIRROR:+"$PROVISION_DEBIAN_MIRROR"} &&
    mv "$plain_image.new" "$plain_image"
}
plain_image=$cache/plain-$plain_suite-$({ declare -f make_plain && echo "$plain_packages"; } | sha256sum | cut -c1-16).tar

# plain_tree TREE GATEWAY USER: unpacks it as a machine of a network with this
# gateway, on which USER logs in. Made before: make_plain.
plain_tree() {
  local tree=$1 gateway=$2
  mkdir "$tree"
  tar -x -p --numeric-owner -C "$tree" -f "$plain_image"
  chroot "$tree" useradd --create-home --shell /bin/bash --groups sudo "$3"
  printf '127.0.0.1 localhost\n127.0.1.1 plain\n' >"$tree/etc/hosts"
  echo plain >"$tree/etc/hostname"
  echo 'LABEL=plain / ext4 noatime 0 0' >"$tree/etc/fstab"
  printf '[Match]\nName=e*\n[Network]\nDHCP=ipv4\n' >"$tree/etc/systemd/network/10-card.network"
  rm -f "$tree/etc/resolv.conf" "$tree"/etc/apt/sources.list.d/*
  echo "nameserver $gateway" >"$tree/etc/resolv.conf"
  echo "deb http://$gateway:$plain_port/debian $plain_suite main" >"$tree/etc/apt/sources.list"
}

# plain_mirror GATEWAY: the proxy, for ever, once this host has that address.
plain_mirror() {
  until ip -o -4 address | grep -qF " $1/"; do sleep 0.5; done
  exec python3 "$root/ci/plain-mirror.py" "$1" $plain_port \
    "${PROVISION_DEBIAN_MIRROR:-http://deb.debian.org/debian}" "$cache/mirror"
}

plain_mke2fs() {
  PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext4 -L plain -m 0 -O ^metadata_csum_seed,^orphan_file \
    -E "lazy_itable_init=1,lazy_journal_init=1,nodiscard${3:+,offset=$3}" -d "$1" "$2" ${4:+"$4"}
}

# plain_keys TREE HOST USER: pairs of keys are made, one for its SSH server, and
# one (unless it is there) for who logs in as debian.
plain_keys() {
  ssh-keygen -q -t ed25519 -N '' -C guest -f "$2"
  [[ -e $3 ]] || ssh-keygen -q -t ed25519 -N '' -C user -f "$3"
  install -m 0600 "$2" "$1/etc/ssh/ssh_host_ed25519_key"
  install -D -m 0644 "$3.pub" "$1/home/debian/.ssh/authorized_keys"
}

virsh() { command virsh --quiet --connect qemu:///system "$@"; }

# plain_remove NAME: the machine and its network, if they are there.
plain_remove() {
  virsh destroy "$1" || true
  virsh undefine "$1" || true
  virsh net-destroy "$1" || true
  virsh net-undefine "$1" || true
} >/dev/null 2>&1

# plain_boot NAME TREE NET MIB FORWARD: a machine with this memory, started, at
# NET.10 in a network of its own, from which libvirt forwards by that mode. The
# tree becomes its disk; its console is $work/NAME.console.
plain_boot() {
  local name=$1 tree=$2 net=$3 mib=$4 forward=$5 type=kvm cpu="<cpu mode='host-passthrough'/>" mac
  mac=$(printf '52:54:00:f1:%02x:63' "${net##*.}")
  cp "$tree"/boot/vmlinuz-* "$work/$name.vmlinuz"
  cp "$tree"/boot/initrd.img-* "$work/$name.initrd"
  truncate -s 8G "$work/$name.disk"
  plain_mke2fs "$tree" "$work/$name.disk"
  rm -rf "$tree"
  virsh uri >/dev/null 2>&1 || {
    if [[ -d /run/systemd/system ]]; then systemctl start libvirtd; else
      pgrep -x virtlogd >/dev/null || virtlogd -d
      libvirtd -d
    fi
    sleep 3
  }
  plain_remove "$name"
  [[ ! $plain_emulated ]] || type=qemu cpu="<cpu mode='maximum'/>"
  cat >"$work/$name.network.xml" <<XML
<network>
  <name>$name</name>
  <forward mode='$forward'/>
  <bridge name='virbr-p${net##*.}'/>
  <ip address='$net.1' netmask='255.255.255.0'>
    <dhcp><host mac='$mac' ip='$net.10'/></dhcp>
  </ip>
</network>
XML
  cat >"$work/$name.machine.xml" <<XML
<domain type='$type'>
  <name>$name</name>
  <memory unit='MiB'>$mib</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$work/$name.vmlinuz</kernel>
    <initrd>$work/$name.initrd</initrd>
    <cmdline>root=LABEL=plain rw quiet console=ttyS0 $plain_words</cmdline>
  </os>
  <features><acpi/></features>
  $cpu
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe'/>
      <source file='$work/$name.disk'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <source network='$name'/>
      <mac address='$mac'/>
      <model type='virtio'/>
    </interface>
    <serial type='file'><source path='$work/$name.console'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
XML
  virsh net-define "$work/$name.network.xml"
  virsh net-start "$name"
  virsh define "$work/$name.machine.xml"
  virsh start "$name"
}

# The kernel's words that an emulated machine's owner would set: they are no
# part of what is tested.
# shellcheck disable=SC2034 # for those who source this file
plain_emulated=1 plain_words=$(<"$root/templates/node/cmdline-emulated.txt")
if [[ -w /dev/kvm ]] && grep -Eq '^flags.* (vmx|svm)' /proc/cpuinfo; then
  # shellcheck disable=SC2034
  plain_emulated='' plain_words=
fi
