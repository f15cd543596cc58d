//! `/alloc`: the heap. Targets differ in their allocators (glibc's, wasi-libc's
//! dlmalloc), and WebAssembly's memory grows and is never given back: measure a
//! pod's memory before its first large `/alloc`.

use std::collections::BTreeMap;

use super::{Body, count};

/// Entries where no number is given.
const DEFAULT: u32 = 1_000;
/// Most entries of one request: some 15 MB at once.
const MAX: u32 = 100_000;

/// FNV-1a's start and factor for 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// Builds a map of `n` small strings to small buffers in scattered order, sums
/// it up in sorted order and drops it.
pub fn alloc(query: &str) -> Result<Body, String> {
    let entries = count(query, DEFAULT, MAX)?;
    let mut map: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    // Knuth's and Lewis's generator: no number twice in 2^32, so no key either.
    let mut number = 1_u32;
    for _ in 0..entries {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = 16 + (number >> 26) as usize;
        map.insert(format!("{number:08x}"), vec![(number >> 8) as u8; length]);
    }
    let sum = map.iter().fold(FNV_OFFSET, |sum, (key, value)| {
        key.bytes()
            .chain([value.len() as u8, value[0]])
            .fold(sum, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
    });
    drop(map);
    Ok(Body::text(format!("{sum:016x} {entries}\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_of_all_entries_in_order() {
        // Computed by another program, in another language.
        assert_eq!(alloc("n=1").unwrap().to_text(), "b3563661ede00e32 1\n");
        assert_eq!(alloc("n=2").unwrap().to_text(), "3fcf79277f438fa5 2\n");
        assert_eq!(alloc("").unwrap().to_text(), "9fe4e4b7dfa946fb 1000\n");
        assert_eq!(alloc("n=100000").unwrap().to_text(), "2b22db33c3b2edb3 100000\n");
    }

    #[test]
    fn entries_are_bounded() {
        for query in ["n=0", "n=100001", "n=many", "n"] {
            assert_eq!(alloc(query).unwrap_err(), "n must be a number from 1 to 100000", "{query}");
        }
    }
}
