#!/usr/bin/env bash
# relocate.sh ROOT TREE: copies crun, WasmEdge's library, nft and all that they
# load from the root tree ROOT to /usr/local in TREE, made to run from there
# whatever the system around: with a dynamic loader of their own. Run in a mount
# namespace of its own, which takes the mounts with it.
set -euo pipefail

root=${1:?} tree=${2:?}

mkdir -p "$tree/usr/local"
mount --bind "$tree/usr/local" "$root/usr/local"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 bash -euo pipefail -s <<'INSIDE'
place=/usr/local/lib/provision
programs=(/usr/bin/crun /usr/sbin/nft)
mkdir -p $place /usr/local/bin
library=$(ldconfig -p | sed -n 's/^\s*libwasmedge\.so\.0 .* => //p')

cp --dereference "$(patchelf --print-interpreter /usr/bin/crun)" $place/ld.so
cp --dereference "$library" $place/libwasmedge.so.0
ldd "${programs[@]}" "$library" | awk '$2 == "=>" { print $1, $3 }' | sort -u | while read -r name file; do
  cp --dereference "$file" "$place/$name"
done
for program in "${programs[@]}"; do
  cp --dereference "$program" $place/
  # Looked through for all that is loaded, unless a library names folders itself.
  patchelf --set-interpreter $place/ld.so --force-rpath --set-rpath $place "$place/${program##*/}"
done
for file in $place/*.so.*; do
  [[ -z $(patchelf --print-rpath "$file") ]] || patchelf --remove-rpath "$file"
done
ln -sf ../lib/provision/crun /usr/local/bin/crun
dpkg-query --show --showformat='${Package} ${Version}\n' crun libwasmedge0 nftables >$place/packages

# Nothing of the system around is loaded.
for program in "${programs[@]}"; do
  foreign=$($place/ld.so --preload libwasmedge.so.0 --list "$place/${program##*/}" | grep -v "$place/" | grep -v linux-vdso || true)
  [[ -z $foreign ]] || {
    printf '%s loads from elsewhere:\n%s\n' "$program" "$foreign" >&2
    exit 1
  }
done
$place/nft --version
[[ $(/usr/local/bin/crun --version) == *+WASM:wasmedge* ]] || {
  echo "crun does not start WasmEdge" >&2
  exit 1
}
INSIDE
