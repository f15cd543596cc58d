//! The canary: a computation whose answer is known here and whose time tells
//! machine code from an interpreter.

use sha2::{Digest, Sha256};

/// How often it is asked; the best time counts.
pub const REQUESTS: u32 = 3;

/// Rounds of SHA-256: native takes some milliseconds, enough to stand out from
/// a connection's cost, little enough for the interpreter.
#[must_use]
pub fn rounds(emulated: bool) -> u32 {
    if emulated { 2_000 } else { 20_000 }
}

/// What `/compute?n=ROUNDS` of the workload must answer: the digest of the
/// digest … of `provision`, and the number of rounds.
#[must_use]
pub fn answer(rounds: u32) -> String {
    let mut digest = Sha256::digest(b"provision");
    for _ in 1..rounds {
        digest = Sha256::digest(digest);
    }
    format!("{} {rounds}\n", crate::artifacts::digest::hex(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_the_workloads() {
        // As the workload's own tests have it.
        assert_eq!(answer(2), "487db735f776c3ed2db830f6ee909f00184f6caae11e9dd11d3cb2dbe5e4f241 2\n");
    }
}
