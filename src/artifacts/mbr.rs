//! The first sector of a disk: GRUB's first stage and the partition table.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// Bytes of GRUB's first stage that fit in front of the table (the rest of its
/// file is where a table would be).
const CODE: usize = 440;

/// One partition of at most four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The type's number (0x83 is Linux, 0xef an EFI system partition).
    pub kind: u8,
    /// Whether BIOS is told to boot from it.
    pub active: bool,
    /// Its first sector.
    pub start: u32,
    /// Its length in sectors.
    pub sectors: u32,
}

/// The sector: `code` (the first 440 bytes of it) and the table.
fn sector(code: &[u8], partitions: &[Partition]) -> Result<[u8; SECTOR as usize]> {
    ensure!(code.len() >= CODE, "GRUB's first stage has {} bytes instead of {SECTOR}", code.len());
    ensure!(partitions.len() <= 4, "a table holds 4 partitions, not {}", partitions.len());
    let mut sector = [0; SECTOR as usize];
    sector[..CODE].copy_from_slice(&code[..CODE]);
    for (entry, partition) in sector[446..510].chunks_exact_mut(16).zip(partitions) {
        entry[0] = if partition.active { 0x80 } else { 0 };
        // No cylinders and heads: what reads the table counts sectors.
        entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entry[4] = partition.kind;
        entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entry[8..12].copy_from_slice(&partition.start.to_le_bytes());
        entry[12..16].copy_from_slice(&partition.sectors.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    Ok(sector)
}

/// Writes GRUB's stages `boot` and `core` and the table to the head of `disk`,
/// in front of the first partition.
pub fn write(disk: &Path, boot: &Path, core: &Path, partitions: &[Partition]) -> Result<()> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let (boot, core) = (read(boot)?, read(core)?);
    let first = partitions.iter().map(|partition| u64::from(partition.start)).min().unwrap_or(0);
    let gap = first.saturating_sub(1) * SECTOR;
    ensure!(core.len() as u64 <= gap, "GRUB's core has {} bytes; {gap} fit in front of the partitions", core.len());
    let file = File::options().write(true).open(disk).with_context(|| format!("open {}", disk.display()))?;
    file.write_all_at(&sector(&boot, partitions)?, 0)
        .and_then(|()| file.write_all_at(&core, SECTOR))
        .with_context(|| format!("write the head of {}", disk.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Partition = Partition { kind: 0x83, active: true, start: 133_120, sectors: 1000 };

    #[test]
    fn the_table_stands_behind_the_code() {
        let sector = sector(&[0xcc; 512], &[ROOT]).unwrap();
        assert_eq!(sector[439..446], [0xcc, 0, 0, 0, 0, 0, 0]);
        assert_eq!((sector[446], sector[450]), (0x80, 0x83));
        assert_eq!(sector[454..462], [0x00, 0x08, 0x02, 0x00, 0xe8, 0x03, 0, 0]);
        assert_eq!(sector[462..], [[0; 48].as_slice(), &[0x55, 0xaa]].concat());
    }

    #[test]
    fn a_core_that_would_reach_into_a_partition_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: usize| {
            let path = dir.path().join(name);
            std::fs::write(&path, vec![1; bytes]).unwrap();
            path
        };
        let (disk, boot) = (file("disk", 4096), file("boot", 512));
        let near = Partition { start: 3, ..ROOT };
        write(&disk, &boot, &file("core", 1024), &[near]).unwrap();
        assert_eq!(std::fs::read(&disk).unwrap()[512..1537], [[1; 1024].as_slice(), &[1]].concat());
        let error = write(&disk, &boot, &file("core", 1025), &[near]).unwrap_err();
        assert!(error.to_string().contains("1024 fit"), "{error}");
        assert!(write(&disk, &file("boot", 12), &file("core", 1), &[near]).is_err());
    }
}
