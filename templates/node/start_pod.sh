#!/usr/bin/env bash
# Makes the pod whose manifest comes on standard input and prints when what
# happened, a line KEY=VALUE each; times are microseconds since 1970 by this
# node's clock, so that nothing of the way here is measured.
#
#   asked      the API server is asked for the pod
#   scheduled  the kubelet begins with it (its cgroup appears)
#   created    its container is made (the sandbox and its network are there)
#   listening  the server says so in its log
#   answered   the first answer with status 200 is here
#   ip, uid, container
# usage: start_pod.sh NAME PORT SECONDS <MANIFEST
set -euo pipefail
export LC_ALL=C

name=${1:?} port=${2:?} seconds=${3:?}
namespace=provision
deadline=$((SECONDS + seconds))

late() {
  ((SECONDS < deadline)) && return 1
  echo "pod $namespace/$name: $1 after $seconds s" >&2
  exit 1
}

# The API is asked by curl: kubectl alone takes a second to start on an emulated machine.
# shellcheck source=/dev/null
source /opt/provision/manager.sh
umask 077
keys=/run/provision-admin
admin=/etc/kubernetes/admin.conf
# A worker is lent it for the time of measuring.
[[ -r $admin ]] || admin=/run/provision-admin.conf
if [[ ! -s $keys.key || $admin -nt $keys.key ]]; then
  while read -r field value; do
    case $field in
    client-certificate-data:) base64 --decode <<<"$value" >"$keys.crt" ;;
    client-key-data:) base64 --decode <<<"$value" >"$keys.key" ;;
    esac
  done <"$admin"
fi
asked=${EPOCHREALTIME/./}
answer=$(curl --silent --show-error --fail-with-body --max-time 60 --cacert /etc/kubernetes/pki/ca.crt --cert "$keys.crt" --key "$keys.key" \
  --header 'Content-Type: application/yaml' --data-binary @- \
  "https://${API_ADDRESS:?}:6443/api/v1/namespaces/$namespace/pods") || {
  echo "the API refuses pod $namespace/$name: $answer" >&2
  exit 1
}
[[ $answer =~ \"uid\":\ *\"([0-9a-f-]+)\" ]]
uid=${BASH_REMATCH[1]}

# What CNI remembers of a pod names its address before the API does.
groups=(/sys/fs/cgroup/kubepods.slice/kubepods-{besteffort,burstable}.slice/kubepods-{besteffort,burstable}-pod"${uid//-/_}".slice
  /sys/fs/cgroup/kubepods.slice/kubepods-pod"${uid//-/_}".slice)
ip='' scheduled='' cgroup=''
until [[ $ip ]]; do
  if [[ ! $scheduled ]]; then
    for folder in "${groups[@]}"; do
      if [[ -d $folder ]]; then scheduled=${EPOCHREALTIME/./} cgroup=$folder; fi
    done
  fi
  for result in /var/lib/cni/results/*; do
    # It may be gone by now, with the pod that it is about; $(<…) would end the script then.
    text=
    { IFS= read -r -d '' text <"$result" || true; } 2>/dev/null
    if [[ $text == *"$uid"* && $text =~ \"address\":\ *\"([0-9.]+)/ ]]; then ip=${BASH_REMATCH[1]}; fi
  done
  late "it has no address" || [[ $ip ]] || sleep 0.01
done

answered=
until [[ $answered ]]; do
  if { exec 3<>"/dev/tcp/$ip/$port"; } 2>/dev/null; then
    printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$ip" >&3
    if IFS= read -r -t 60 status <&3 && [[ $status == *' 200 '* ]]; then answered=${EPOCHREALTIME/./}; fi
    exec 3>&-
  fi
  late "it does not answer" || [[ $answered ]] || sleep 0.005
done

# The rest is read afterwards: files remember when they came.
born() { stat --format=%.6Y "$1" | tr -d .; }
container='' containergroup=''
for own in "${cgroup:?the pod has no cgroup}"/"${scope:?}"-*.scope; do
  id=${own##*/"$scope"-}
  id=${id%.scope}
  bundle=${bundles:?}/$id${inside?}
  if [[ -r $bundle/config.json && $(<"$bundle/config.json") =~ ${is_container:?} ]]; then
    container=$id containergroup=$own
    created=$(born "$bundle/config.json")
  fi
done
logs=(/var/log/pods/"${namespace}_${name}_$uid"/*/0.log)
listening=$answered
while read -r time _ _ line; do
  [[ $line == *'listening on'* ]] && listening=$(date --date="$time" +%s%6N) && break
done <"${logs[0]}"

printf '%s=%s\n' asked "$asked" scheduled "$scheduled" created "${created:?no container of the pod}" \
  listening "$listening" answered "$answered" ip "$ip" uid "$uid" container "$container" containergroup "$containergroup" cgroup "$cgroup"
