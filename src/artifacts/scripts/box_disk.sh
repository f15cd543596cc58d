#!/usr/bin/env bash
# box_disk.sh TREE OUT RAW GIB: writes the tree as one ext4 file system to RAW,
# its size in GiB to the file GIB, kernel and initrd to OUT.
set -euo pipefail

tree=${1:?} out=${2:?} raw=${3:?} size=${4:?}

install -m 0644 "$tree"/boot/vmlinuz-* "$out/vmlinuz"
install -m 0644 "$tree"/boot/initrd.img-* "$out/initrd"

# Room for the file system's own tables, then whole GiB, as Vagrant counts.
used=$(du -s --block-size=1 "$tree" | cut -f1)
gib=$(((used * 11 / 10 + (512 << 20) + (1 << 30) - 1) >> 30))
truncate -s "${gib}G" "$raw"
mke2fs -q -F -t ext4 -L provision-root -m 0 -E lazy_itable_init=1,lazy_journal_init=1,nodiscard -d "$tree" "$raw"
echo "$gib" >"$size"
