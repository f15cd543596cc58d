#!/usr/bin/env bash
# Takes from a machine that is not ours what the steps have put on it: prints a
# line for each thing taken and, after "left", each thing left. Safe to run twice.
# usage: remove.sh LAB
set -euo pipefail

lab=${1:?usage: remove.sh LAB}
stamps=/var/lib/provision
of=$(sed -n 's/^LAB=//p' /opt/provision/node.env 2>/dev/null || true)
if [[ -n $of && $of != "$lab" ]]; then
  echo "left alone: it is a node of lab \`$of\`"
  exit 0
fi
if [[ ! -d $stamps && ! -d /opt/provision ]]; then
  echo "nothing"
  exit 0
fi

if [[ -x /usr/local/bin/kubeadm ]]; then
  kubeadm reset --force --cri-socket unix:///run/containerd/containerd.sock >/dev/null 2>&1 </dev/null ||
    echo "left to you: kubeadm reset ended with an error; its files were removed all the same"
fi
# Where an unfinished step left them, units may be half there.
for unit in kubelet containerd provision-masquerade provision-routes; do
  systemctl --quiet disable --now $unit.service >/dev/null 2>&1 || true
done
# Shims and what they run belong to containerd's cgroup no more.
for pid in $(pgrep -f '^/usr/local/bin/containerd-shim-runc-v2' || true); do
  pkill -KILL -P "$pid" 2>/dev/null || true
  kill -KILL "$pid" 2>/dev/null || true
done
for ((try = 0; try < 20; try++)); do
  mapfile -t mounts < <(awk '$2 ~ "^(/run/containerd|/var/lib/containerd|/var/lib/kubelet|/run/netns/cni-)" { print $2 }' /proc/mounts | sort -r)
  ((${#mounts[@]})) || break
  umount -l "${mounts[@]}" 2>/dev/null || sleep 0.5
done
rm -f /run/netns/cni-*
# Older ones cannot read what kube-proxy's has written.
nft=/usr/local/lib/provision/nft
[[ -x $nft ]] || nft=nft
for table in 'ip provision' 'inet provision-guard' 'ip kube-proxy' 'ip6 kube-proxy'; do
  # shellcheck disable=SC2086 # family and name are two words
  $nft delete table $table 2>/dev/null || true
done
ip -4 route flush proto 157 2>/dev/null || true
for link in cni0 kube-ipvs0 pods-tunnel; do
  ip link delete $link 2>/dev/null || true
done
echo "the cluster's member, its pods and their network"

rm -rf /etc/kubernetes /var/lib/kubelet /var/lib/etcd /var/lib/containerd /run/containerd /etc/containerd \
  /var/lib/cni /etc/provision /var/log/pods /var/log/containers /usr/local/lib/provision
rm -f /etc/cni/net.d/10-provision.conflist \
  /etc/systemd/system/{containerd,kubelet,provision-masquerade,provision-routes}.service \
  /etc/systemd/system/kubelet.service.d/10-kubeadm.conf \
  /etc/systemd/system/*.wants/provision-{masquerade,routes}.service \
  /etc/systemd/network/05-pods.link /etc/systemd/networkd.conf.d/pods.conf \
  /etc/modules-load.d/kubernetes.conf /etc/sysctl.d/60-kubernetes.conf \
  /usr/local/bin/{kubernetes,kubeadm,kubelet,kubectl,containerd,containerd-shim-runc-v2,ctr,crun}
rmdir /etc/systemd/system/kubelet.service.d /etc/systemd/networkd.conf.d 2>/dev/null || true
rm -f /etc/apt/apt.conf.d/80provision
if [[ -e /usr/local/share/ca-certificates/provision.crt ]]; then
  rm -f /usr/local/share/ca-certificates/provision.crt
  update-ca-certificates >/dev/null 2>&1 || true
fi
systemctl daemon-reload
sed -i '/ # provision$/d' /etc/hosts
sed -i 's/^#provision# //' /etc/fstab
echo "programs, images, services and settings"

if [[ -s $stamps/packages ]]; then
  mapfile -t packages < <(sort -u "$stamps/packages")
  echo "left: the packages it installed; remove them by: apt-get autoremove ${packages[*]}"
fi
echo "left: kernel modules, kernel settings and switched-off swap, until the next start"
rm -rf /opt/provision /opt/provision.new "$stamps"
