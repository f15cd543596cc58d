#!/usr/bin/env bash
# Starts the control plane with kubeadm.
source "${BASH_SOURCE[0]%/*}/lib.sh"

# Written when the control plane stood, with the settings it was made from.
made=$stamps/init_control_plane

check() {
  if [[ ! -f $made ]]; then
    would "run kubeadm init for Kubernetes ${KUBERNETES_VERSION:?}"
    return
  fi
  same "$files/kubeadm.yaml" "$made" || would "make the control plane again: its settings have changed"
  answers 127.0.0.1 10248 || would "start the kubelet"
  answers "${NODE_IP:?}" 6443 || would "wait for the API server"
}

# The useful end of what went wrong: kubelet's complaints, and the logs of
# containers that ended.
explain() {
  {
    echo "--- kubelet:"
    journalctl --no-pager -o cat -n 200 -u kubelet.service | grep '^[EF]' | tail -n 12
    local log pod
    for log in /var/log/pods/kube-system_*/*/*.log; do
      [[ -f $log ]] || continue
      pod=${log#/var/log/pods/kube-system_}
      echo "--- ${pod%%_*} (${log##*/}):"
      tail -n 4 "$log"
    done
  } >&2 || true
}

# Takes back what an init that failed or was interrupted has left.
clean() {
  [[ -d /etc/kubernetes/pki || -d /var/lib/etcd/member ]] || return 0
  say "taking back an unfinished kubeadm init"
  kubeadm reset --force --cri-socket unix:///run/containerd/containerd.sock >/dev/null 2>&1 ||
    fail "kubeadm reset failed: make the node again"
}

stands() {
  kubectl --request-timeout=20s get --raw /readyz >/dev/null 2>&1
}

run() {
  if [[ -f $made ]]; then
    same "$files/kubeadm.yaml" "$made" ||
      fail "the control plane was made from other settings; a new one needs a new machine: take the lab down and up again"
    systemctl start kubelet.service
  else
    clean
    kubeadm init --config "$files/kubeadm.yaml" || {
      explain
      fail "kubeadm init failed; what kubelet and containers said is above"
    }
  fi
  within "$(patient 60)" stands || {
    explain
    fail "the API server does not become ready; what kubelet and containers said is above"
  }
  # Pods are refused until the controller manager has made it.
  kubectl wait --for=create --timeout="$(patient 60)s" serviceaccount/default >/dev/null || {
    explain
    fail "the default service account is not made: the controller manager does not work"
  }
  place "$files/kubeadm.yaml" "$made"
}

step "$@"
