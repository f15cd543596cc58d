#!/usr/bin/env bash
# The floor for ci/perf: boots a box by plain `virsh`, without Vagrant and
# without provision, sends a node's rendered files, runs the same step scripts
# by plain ssh, and prints what each part took, one "name<TAB>value" a line:
# seconds, and for idle_cpu percent of one host core.
#
#   ci/floor.sh --disk IMAGE --kernel FILE --initrd FILE --files DIR [options]
#
#   --disk IMAGE     the box's disk (raw or qcow2); it is not written to
#   --files DIR      what provision puts into a node's /opt/provision
#   --cmdline FILE   extra kernel command line (default: an emulated node's)
#   --node-md        instead of the lab's settings take ci/floor/node-md: those
#                    of a hand-made emulated node, the baseline of the tuning
#   --settle SEC     wait before the idle machine is measured (default 150)
#   --idle SEC       time over which it is measured (default 120; 0: not at all)
#   --import ARCHIVE --importer SCRIPT
#                    import these images in the fresh machine first, timed
#   --memory MIB, --cpus N   the machine (default 3072, 2)
#
# Its network and machine are its own, and are removed at the end.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
disk='' kernel='' initrd='' files='' cmdline='' baseline='' settle=150 idle=120 memory=3072 cpus=2 import='' importer=''
usage() {
  sed -n '/^#   ci/,/^# Its/s/^# \{0,3\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}
while (($#)); do
  case $1 in
  --node-md) baseline=yes ;;
  --disk | --kernel | --initrd | --files | --cmdline | --settle | --idle | --memory | --cpus | --import | --importer)
    (($# > 1)) || usage
    printf -v "${1#--}" '%s' "$2"
    shift
    ;;
  *) usage ;;
  esac
  shift
done
for needed in disk kernel initrd files; do
  [[ ${!needed} ]] || usage
  printf -v "$needed" '%s' "$(realpath "${!needed}")"
done
if [[ ! $cmdline ]]; then
  cmdline=$here/../templates/node/cmdline-emulated.txt
  [[ ! $baseline ]] || cmdline=$here/floor/node-md/cmdline.txt
fi

virsh() { command virsh --quiet --connect qemu:///system "$@"; }
virsh uri >/dev/null 2>&1 || {
  echo "floor.sh: libvirt does not answer; start it (systemctl start libvirtd)" >&2
  exit 1
}

name=provision-floor
net=192.168.158
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/$name.XXXXXX")
chmod 0755 "$dir"
remove() {
  virsh destroy $name || true
  virsh undefine $name || true
  virsh net-destroy $name || true
  virsh net-undefine $name || true
} >/dev/null 2>&1
trap 'remove; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
remove

now() { printf '%s' "${EPOCHREALTIME/./}"; }
# seconds NAME START: prints the seconds since START (microseconds).
seconds() {
  local us=$(($(now) - $2))
  printf '%s\t%d.%02d\n' "$1" $((us / 1000000)) $((us % 1000000 / 10000))
}

# --- The node's files, with this network's addresses.
cp -r "$files" "$dir/node"
# shellcheck source=/dev/null
old_ip=$(source "$files/node.env" && echo "${NODE_IP:?}")
# shellcheck source=/dev/null
old_nameserver=$(source "$files/node.env" && echo "${NAMESERVER:?}")
if [[ $baseline ]]; then
  rm -rf "$dir/node/files/patches"
  cp -r "$here"/floor/node-md/{patches,containerd.toml,go.env,kubeadm.yaml} "$dir/node/files/"
  while IFS='=' read -r key value; do
    value=${value#\'}
    find "$dir/node/files" -type f -exec sed -i "s|@$key@|${value%\'}|g" {} +
  done <"$files/node.env"
fi
find "$dir/node" -type f -exec sed -i "s/${old_ip//./\\.}\b/$net.10/g" {} +
sed -i "/^NAMESERVER=/s/${old_nameserver//./\\.}/$net.1/" "$dir/node/node.env"
# shellcheck source=/dev/null
emulated=$(source "$files/node.env" && echo "${EMULATED:?}")
# shellcheck source=/dev/null
node_name=$(source "$files/node.env" && echo "${NODE_NAME:?}")

# --- The machine.
ssh-keygen -q -t ed25519 -N '' -C floor -f "$dir/key"
format=$(qemu-img info --output=json "$disk" | sed -n 's/.*"format": "\(.*\)".*/\1/p' | tail -n 1)
# QEMU's user may not enter the user's home.
for file in disk kernel initrd; do
  cp --reflink=auto "${!file}" "$dir/$file"
  printf -v $file '%s' "$dir/$file"
done
qemu-img create -q -f qcow2 -b "$disk" -F "$format" "$dir/disk.qcow2" 12G
type=kvm cpu="<cpu mode='host-passthrough'/>" words=
if [[ $emulated == 1 ]]; then
  type=qemu cpu="<cpu mode='maximum'/>" words=$(<"$cmdline")
fi
cat >"$dir/network.xml" <<EOF
<network>
  <name>$name</name>
  <forward mode='nat'/>
  <bridge name='virbr-floor'/>
  <ip address='$net.1' netmask='255.255.255.0'>
    <dhcp><host mac='52:54:00:f1:00:0a' ip='$net.10'/></dhcp>
  </ip>
</network>
EOF
cat >"$dir/machine.xml" <<EOF
<domain type='$type'>
  <name>$name</name>
  <memory unit='MiB'>$memory</memory>
  <vcpu>$cpus</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$kernel</kernel>
    <initrd>$initrd</initrd>
    <cmdline>root=LABEL=provision-root rw quiet console=ttyS0 net.ifnames=0 systemd.hostname=$node_name systemd.set_credential_binary=ssh.authorized_keys.root:$(base64 -w0 <"$dir/key.pub") $words</cmdline>
  </os>
  <features><acpi/></features>
  $cpu
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe'/>
      <source file='$dir/disk.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <source network='$name'/>
      <mac address='52:54:00:f1:00:0a'/>
      <model type='virtio'/>
    </interface>
    <serial type='file'><source path='$dir/console'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
EOF
virsh net-define "$dir/network.xml"
virsh net-start $name
virsh define "$dir/machine.xml"
all=$(now)
virsh start $name

# --- To its shell: the host key is the one that its console shows.
deadline=$((SECONDS + 600))
waited() {
  ((SECONDS < deadline)) || {
    echo "floor.sh: the machine does not answer; the end of its console:" >&2
    tail -n 20 "$dir/console" >&2
    exit 1
  }
  sleep 0.5
}
until key=$(sed -n 's/^provision-host-key: //p' "$dir/console" | tr -d '\r') && [[ $key ]]; do waited; done
echo "$net.10 $key" >"$dir/known_hosts"
node() {
  ssh -q -i "$dir/key" -o UserKnownHostsFile="$dir/known_hosts" -o IdentitiesOnly=yes -o ConnectTimeout=10 \
    -o ControlMaster=auto -o ControlPath="$dir/ssh" -o ControlPersist=yes "root@$net.10" "$@"
}
until node true; do waited; done
seconds boot "$all"

if [[ $import ]]; then
  node 'mkdir -p /var/tmp/import/tree /var/tmp/import/work && cat >/var/tmp/import/import.sh' <"$importer"
  node 'cat >/var/tmp/import/images.tar' <"$import"
  start=$(now)
  # shellcheck disable=SC2016 # the machine's own PWD
  node 'cd /var/tmp/import && unshare --mount bash import.sh "$PWD/tree" "$PWD/images.tar" /usr/local/bin "$PWD/work"' \
    >"$dir/import.log" 2>&1 </dev/null || {
    tail -n 40 "$dir/import.log" >&2
    echo "floor.sh: the import failed; its last lines are above" >&2
    exit 1
  }
  seconds import "$start"
  node 'rm -rf /var/tmp/import'
fi

tar -C "$dir/node" -cf - . | node 'tar -C /opt/provision -xf -'
for step in prepare_system install_runtime configure_network init_control_plane start_addons; do
  start=$(now)
  node "bash /opt/provision/steps/$step.sh run" >"$dir/$step.log" 2>&1 </dev/null || {
    tail -n 40 "$dir/$step.log" >&2
    echo "floor.sh: $step failed; its last lines are above" >&2
    exit 1
  }
  seconds $step "$start"
done
seconds total "$all"

# --- What the idle cluster costs the host.
cpu_time() { virsh domstats --cpu-total $name | sed -n 's/ *cpu\.time=//p'; }
if ((idle > 0)); then
  sleep "$settle"
  before=$(cpu_time) start=$(now)
  sleep "$idle"
  used=$((($(cpu_time) - before) / 1000)) elapsed=$(($(now) - start))
  printf 'idle_cpu\t%d.%d\n' $((used * 100 / elapsed)) $((used * 1000 / elapsed % 10))
fi
node -O exit 2>/dev/null || true
