#!/usr/bin/env bash
# What a node's system has besides packages: kernel settings, and the services
# that wait to be configured. Sourced with `root` set to the tree that becomes a
# node (a box's, while it is made), or empty for the machine itself.
set -euo pipefail

: "${root?}"

# put MODE PATH: writes standard input to PATH in the tree.
put() {
  install -D -m "$1" /dev/stdin "$root$2"
}

# --- Hands off what CNI makes, where systemd-networkd looks after the network.
put 0644 /etc/systemd/network/05-pods.link <<'EOF'
[Match]
OriginalName=veth* cni*

[Link]
NamePolicy=
MACAddressPolicy=none
EOF
put 0644 /etc/systemd/networkd.conf.d/pods.conf <<'EOF'
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
ManageForeignNextHops=no
EOF

# --- Kernel: what Kubernetes asks for.
put 0644 /etc/modules-load.d/kubernetes.conf <<'EOF'
overlay
br_netfilter
EOF
put 0644 /etc/sysctl.d/60-kubernetes.conf <<'EOF'
net.ipv4.ip_forward = 1
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
# What the kubelet sets and checks.
vm.overcommit_memory = 1
kernel.panic = 10
kernel.panic_on_oops = 1
fs.inotify.max_user_instances = 8192
fs.inotify.max_user_watches = 524288
EOF

# --- containerd and kubelet: both wait for the steps to configure them. What
# an emulated machine adds to their environment is in the rendered file.
put 0644 /etc/systemd/system/containerd.service <<'EOF'
[Unit]
Description=containerd container runtime
After=local-fs.target systemd-modules-load.service dbus.service
ConditionPathExists=/etc/containerd/config.toml

[Service]
Type=notify
EnvironmentFile=-/opt/provision/files/go.env
ExecStart=/usr/local/bin/containerd
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
EOF
put 0644 /etc/systemd/system/kubelet.service <<'EOF'
[Unit]
Description=kubelet, the Kubernetes node agent
After=containerd.service network.target
Wants=containerd.service
# kubeadm writes it.
ConditionPathExists=/var/lib/kubelet/config.yaml

[Service]
ExecStart=/usr/local/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
EOF
# As in the official packages, but for the variables' source.
put 0644 /etc/systemd/system/kubelet.service.d/10-kubeadm.conf <<'EOF'
[Service]
EnvironmentFile=-/opt/provision/files/go.env
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
ExecStart=
ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS
EOF
install -d -m 0755 "$root/opt/provision" "$root/var/lib/provision" "$root/etc/kubernetes/manifests" "$root/etc/cni/net.d"
