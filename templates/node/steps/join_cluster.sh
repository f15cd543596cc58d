#!/usr/bin/env bash
# Joins this node to the cluster that began on the first node. What gives it
# the right to comes on standard input, two lines in base64: a kubeconfig with a
# token of a few minutes and, for a control plane, an archive of the shared
# certificates. Without them a node that has joined is started.
source "${BASH_SOURCE[0]%/*}/lib.sh"

# Written when the node had joined.
made=$stamps/join_cluster
# In memory, and gone when this script ends.
secrets=/run/provision-join

check() {
  if [[ ! -f $made ]]; then
    would "join the cluster as ${NODE_ROLE:?}"
    return
  fi
  answers 127.0.0.1 10248 || would "start the kubelet"
  [[ $NODE_ROLE == worker ]] || answers "${NODE_IP:?}" 6443 || would "wait for the API server"
}

# What was joined to another cluster, or half, is taken back.
clean() {
  [[ -e /etc/kubernetes/kubelet.conf || -e /etc/kubernetes/bootstrap-kubelet.conf || -d /etc/kubernetes/pki ]] || return 0
  say "taking back an earlier join"
  rm -f "$made"
  kubeadm reset --force --cri-socket "${CRI_SOCKET:?}" >/dev/null 2>&1 ||
    fail "kubeadm reset failed: make the node again"
}

explain() {
  {
    echo "--- kubelet:"
    journalctl --no-pager -o cat -n 200 -u kubelet.service | grep '^[EF]' | grep -v 'not registered yet' | tail -n 12
  } >&2 || true
}

# The rest of a join, from etcd on. kubeadm gives each of etcd's answers two seconds,
# and where it asks which member is the new one it asks only once
# (cmd/kubeadm/app/util/etcd/etcd.go, etcdTimeout, GetMemberID), which an etcd that is
# slow just then fails. What it has done it finds and does not do again.
go_on_from_etcd() {
  local config=$files/kubeadm-join.yaml
  [[ $NODE_ROLE == control-plane && -f /etc/kubernetes/manifests/etcd.yaml ]] || return 1
  say "kubeadm gave up; going on from etcd"
  within "$(patient 60)" kubeadm join phase etcd-join --config "$config" &&
    kubeadm join --config "$config" --skip-phases=preflight,control-plane-prepare,check-etcd,kubelet-start,etcd-join
}

# join KUBECONFIG CERTIFICATES
join() {
  clean
  trap 'rm -rf $secrets' EXIT
  (
    umask 077
    rm -rf $secrets
    mkdir -p $secrets
    base64 --decode <<<"$1" >$secrets/cluster.conf
    [[ ! $2 ]] || {
      mkdir -p /etc/kubernetes/pki
      base64 --decode <<<"$2" | tar -xz -C /etc/kubernetes/pki
    }
  )
  kubeadm join --config "$files/kubeadm-join.yaml" || go_on_from_etcd || {
    explain
    fail "kubeadm join failed; what kubelet said is above"
  }
  rm -rf $secrets
}

run() {
  local kubeconfig='' certificates=''
  IFS= read -r kubeconfig || true
  IFS= read -r certificates || true
  if [[ $kubeconfig ]]; then
    join "$kubeconfig" "$certificates"
  else
    [[ -f $made ]] || fail "this node has not joined, and nothing came with which it could"
    systemctl start kubelet.service
  fi
  within "$(patient 60)" answers 127.0.0.1 10248 || {
    explain
    fail "the kubelet does not start; what it said is above"
  }
  [[ $NODE_ROLE == worker ]] || within "$(patient 60)" answers "$NODE_IP" 6443 || {
    explain
    fail "the API server of this node does not start; what the kubelet said is above"
  }
  place "$files/kubeadm-join.yaml" "$made"
}

step "$@"
