#!/usr/bin/env bash
# Makes this machine a node where Vagrant works alone, as `provision up` does it:
# puts in place the files that came beside this script, then looks at each of the
# steps named, runs it if it has something to do, and looks again.
set -euo pipefail

came=${BASH_SOURCE[0]%/*}
# shellcheck source=/dev/null
source "$came/node.env"
printf '%s\n' "${INPUTS_HASH:?}" >"$came/hash"
rm -rf /opt/provision
mv "$came" /opt/provision

for name; do
  step=/opt/provision/steps/$name.sh status=0
  bash "$step" check || status=$?
  case $status in
  0) echo "= $name: already done" ;;
  10)
    echo "+ $name"
    bash "$step" run
    bash "$step" check || {
      echo "$name ran, and still has something to do: see above" >&2
      exit 1
    }
    ;;
  *) exit "$status" ;;
  esac
done

if [[ ${FIRST:?} == 1 ]]; then
  kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f /opt/provision/files/runtime-class.yaml
else
  echo "this node joins the others by: provision up"
fi
