#!/usr/bin/env bash
# Takes programs and images as one tar archive of files below /, in parts that
# can be days apart, and unpacks it when it is whole.
#
#   deliver.sh has                   the digest of what is unpacked here, or nothing
#   deliver.sh begin SHA256 BYTES    how many bytes of it are here already
#   deliver.sh take SHA256           adds standard input to them
#   deliver.sh unpack SHA256         checks all of it and unpacks it
source "${BASH_SOURCE[0]%/*}/steps/lib.sh"

delivered=$stamps/delivered
store=/var/lib/containerd

# What an earlier process still sends here would get mixed up with this.
[[ ${1-} == has ]] || alone >&2
part=$stamps/payload-${2-}.part
case ${1-} in
has)
  if [[ -s $delivered && -x /usr/local/bin/kubelet && -x /usr/local/bin/containerd && -x /usr/local/bin/crun && -d $store ]]; then
    cat $delivered
  fi
  ;;
begin)
  mkdir -p $stamps
  # What was begun of another one is of no use any more.
  find $stamps -maxdepth 1 -name 'payload-*.part' ! -name "${part##*/}" -delete
  [[ ! -s $delivered || $(<$delivered) == "$2" || ! -e /etc/kubernetes/kubelet.conf ]] ||
    fail "this node runs other programs; to replace them take the lab down and up again: provision down && provision up"
  have=$(stat -c %s "$part" 2>/dev/null || echo 0)
  ((have <= $3)) || {
    rm -f "$part"
    have=0
  }
  room=$(df --output=avail -B1 $stamps | tail -n 1)
  # The archive, and what comes out of it.
  ((room >= 2 * $3 - have + (64 << 20))) || fail "$stamps has $((room >> 20)) MiB of room; needed: $(((2 * $3 - have) >> 20)) MiB"
  echo "$have"
  ;;
take)
  cat >>"$part"
  ;;
unpack)
  read -r found _ < <(sha256sum "$part")
  [[ $found == "$2" ]] || {
    rm -f "$part"
    fail "what arrived has another digest ($found) than what was sent ($2); it is removed: run this again"
  }
  systemctl stop kubelet.service containerd.service 2>/dev/null || true
  rm -rf $store /usr/local/lib/provision $delivered
  tar -x -p --numeric-owner --no-overwrite-dir -C / -f "$part"
  rm -f "$part"
  [[ -x /usr/local/bin/kubelet ]] || fail "what was sent holds no kubelet"
  printf '%s\n' "$2" >$delivered.new
  mv $delivered.new $delivered
  ;;
*)
  sed -n 's/^#   //p' "$0" >&2
  exit 2
  ;;
esac
