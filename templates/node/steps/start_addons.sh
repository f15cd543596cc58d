#!/usr/bin/env bash
# Starts CoreDNS and kube-proxy, and waits until Services really lead to pods.
source "${BASH_SOURCE[0]%/*}/lib.sh"

made=$stamps/start_addons
# Two on one node would fail together.
replicas=$((2 - ${SINGLE_NODE:?}))
scaled=$stamps/coredns_replicas

# The API's own Service address: the first of SERVICE_CIDR.
api_service() {
  local base=${SERVICE_CIDR:?}
  base=${base%/*}
  echo "${base%.*}.$((${base##*.} + 1))"
}

# kube-proxy has written the rules of the API's Service.
routed() {
  [[ $($nft list table ip kube-proxy 2>/dev/null) == *"$(api_service)"* ]]
}

check() {
  [[ ${FIRST:?} == 0 ]] || same "$files/kubeadm.yaml" "$made" || {
    would "start CoreDNS and kube-proxy"
    return
  }
  [[ $FIRST == 0 || (-f $scaled && $(<$scaled) == "$replicas") ]] || would "run CoreDNS $replicas times"
  routed || would "wait for kube-proxy's rules"
}

wait_for() {
  kubectl --namespace kube-system rollout status "$1" --timeout="$(patient 120)s" >/dev/null || {
    kubectl --namespace kube-system get pods -o wide >&2
    kubectl --namespace kube-system get events --field-selector type=Warning -o custom-columns=OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message >&2
    fail "$1 does not become ready; pods and warnings are above"
  }
}

# Its port answers before it knows who may do what.
ready() {
  kubectl --request-timeout=20s get --raw /readyz >/dev/null 2>&1
}

run() {
  if [[ $FIRST == 1 ]]; then start; fi
  within "$(patient 60)" routed || fail "kube-proxy runs, but has no rules for the Service address $(api_service)"
  if [[ $FIRST == 1 ]]; then
    echo "$replicas" >$scaled
    place "$files/kubeadm.yaml" "$made"
  fi
}

start() {
  local found
  within "$(patient 60)" ready || fail "the API server does not become ready"
  found=$(kubectl --namespace kube-system get deployment/coredns daemonset/kube-proxy --ignore-not-found -o name)
  [[ $found == *coredns*kube-proxy* ]] ||
    kubeadm init phase addon all --config "$files/kubeadm.yaml"
  # A lab that has grown or shrunk.
  [[ ! -f $scaled || $(<$scaled) == "$replicas" ]] ||
    kubectl --namespace kube-system scale deployment/coredns --replicas=$replicas >/dev/null
  wait_for daemonset/kube-proxy
  wait_for deployment/coredns
}

step "$@"
