#!/usr/bin/env bash
# bootable_disk.sh TREE WORK RAW CAPACITY: writes the tree to RAW as a disk of
# CAPACITY GiB that BIOS and UEFI boot from by GRUB, but for its first sectors:
# GRUB's stages for those go to WORK/boot.img and WORK/core.img, the size of
# the root file system in GiB to WORK/gib. The tree goes. Neither mounts nor loop devices.
#
# Partition 1 (1 MiB to 65 MiB) is the EFI system partition, partition 2 (from
# 65 MiB to the end) the root; the root's file system is as small as the tree
# and grows at boot to what the lab's profile says.
set -euo pipefail

tree=${1:?} work=${2:?} raw=${3:?} capacity=${4:?}
mib=$((1 << 20))

# --- GRUB. Both images find the root by its label and read its grub.cfg.
mkdir -p "$tree/boot/grub" "$tree/tmp/grub"
cat >"$tree/tmp/grub/early.cfg" <<'EOF'
search.fs_label provision-root root
set prefix=($root)/boot/grub
EOF
for platform in i386-pc x86_64-efi; do
  mkdir -p "$tree/boot/grub/$platform"
  cp "$tree/usr/lib/grub/$platform"/*.{mod,lst} "$tree/boot/grub/$platform/"
done
image() {
  chroot "$tree" grub-mkimage -c /tmp/grub/early.cfg -p /boot/grub "$@"
}
common=(part_msdos ext2 search_label normal configfile linux)
image -O i386-pc -o /tmp/grub/core.img biosdisk "${common[@]}"
image -O x86_64-efi -o /tmp/grub/BOOTX64.EFI part_gpt fat "${common[@]}"

# --- The EFI system partition.
truncate -s 64M "$tree/tmp/grub/esp"
chroot "$tree" env MTOOLS_SKIP_CHECK=1 sh -euc '
  mformat -i /tmp/grub/esp -v PROVISION ::
  mmd -i /tmp/grub/esp ::/EFI ::/EFI/BOOT
  mcopy -i /tmp/grub/esp /tmp/grub/BOOTX64.EFI ::/EFI/BOOT/BOOTX64.EFI
'
mv "$tree"/tmp/grub/{esp,core.img} "$work/"
cp "$tree/usr/lib/grub/i386-pc/boot.img" "$work/"
rm -rf "$tree/tmp/grub"

# --- The disk.
used=$(du -s --block-size=1 "$tree" | cut -f1)
gib=$(((used * 11 / 10 + (512 << 20) + (1 << 30) - 1) >> 30))
truncate -s "${capacity}G" "$raw"
dd if="$work/esp" of="$raw" bs=$mib seek=1 conv=notrunc,sparse status=none
# GRUB's ext2 does not read the two features left out.
mke2fs -q -F -t ext4 -L provision-root -m 0 -O ^metadata_csum_seed,^orphan_file \
  -E offset=$((65 * mib)),lazy_itable_init=1,lazy_journal_init=1,nodiscard -d "$tree" "$raw" "${gib}G"
echo "$gib" >"$work/gib"
# Room for what is made of the disk next.
rm -rf "$tree"
