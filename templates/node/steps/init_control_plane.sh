#!/usr/bin/env bash
# Starts the control plane with kubeadm.
source "${BASH_SOURCE[0]%/*}/lib.sh"

# Written when the control plane stood, with the settings it was made from.
made=$stamps/init_control_plane
manifests=/etc/kubernetes/manifests
held=/etc/kubernetes/held

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
    journalctl --no-pager -o cat -n 200 -u kubelet.service | grep '^[EF]' |
      grep -v -e 'not registered yet' -e 'not found' -e 'connection refused' | tail -n 12
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
  rm -rf $held
  kubeadm reset --force --cri-socket "${CRI_SOCKET:?}" >/dev/null 2>&1 ||
    fail "kubeadm reset failed: make the node again"
}

# On an emulated machine everything at once starves the API server: the
# controller manager gives up after 10 s without it and starts over, in vain.
# So what needs the API server is held back until it is ready.
hold_back() {
  local name
  until [[ -s $manifests/kube-scheduler.yaml ]]; do sleep 0.2; done
  mkdir -p $held
  for name in kube-controller-manager kube-scheduler; do
    mv $manifests/$name.yaml $held/
  done
  until answers "$NODE_IP" 6443; do sleep 0.5; done
  until curl --silent --insecure --fail --max-time 10 --output /dev/null "https://$NODE_IP:6443/readyz"; do
    sleep 1
  done
  let_go
}

let_go() {
  [[ ! -d $held ]] || {
    mv $held/*.yaml $manifests/
    rmdir $held
  }
}

init() {
  # kubeadm's own waiting would miss the manifests that are held back.
  [[ $(<"$files/kubeadm.yaml") == *skipPhases:*wait-control-plane* ]] || {
    kubeadm init --skip-token-print --config "$files/kubeadm.yaml"
    return
  }
  local holder status=0
  hold_back &
  holder=$!
  kubeadm init --skip-token-print --config "$files/kubeadm.yaml" || status=$?
  ((status == 0)) || kill $holder
  wait $holder || true
  let_go
  return $status
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
    # Of several control planes, the others still have the cluster.
    [[ ${API_ADDRESS:?} == "$NODE_IP" ]] || ! answers "$API_ADDRESS" 6443 ||
      fail "the cluster stands on the other control planes, and the first cannot be replaced yet: take the lab down and up again"
    init || {
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
