//! What the server answers: one line per route in [`ROUTES`].

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::net;

/// The whole body of `/`; callers check it, so that no other server's answer counts.
pub const HELLO: &str = "hello from provision\n";
/// Rounds of `/compute` where none are given.
const DEFAULT_ROUNDS: u64 = 1_000;
/// Most rounds of one request; as many take the interpreter a minute or so.
const MAX_ROUNDS: u64 = 1_000_000;

/// A route's function: the query (without `?`) to a body, or what is wrong with the query.
type Handler = fn(query: &str) -> Result<Body, String>;

/// Every route; the first whose path is equal answers.
pub const ROUTES: &[(&str, Handler)] = &[("/", hello), ("/compute", compute), ("/info", info)];

/// An answer's content.
#[derive(Debug)]
pub struct Body {
    /// The MIME type.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Cow<'static, [u8]>,
}

impl Body {
    fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new("text/plain; charset=utf-8", text)
    }

    fn json(text: String) -> Self {
        Self::new("application/json", text)
    }

    fn new(content_type: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        let bytes = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { content_type, bytes }
    }
}

/// As little work as an answer can be: what is measured is the sockets.
fn hello(_query: &str) -> Result<Body, String> {
    Ok(Body::text(HELLO))
}

/// `n` rounds of SHA-256, each over the digest before, the first over `provision`.
fn compute(query: &str) -> Result<Body, String> {
    let rounds = match value(query, "n") {
        None => DEFAULT_ROUNDS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|rounds| (1..=MAX_ROUNDS).contains(rounds))
            .ok_or_else(|| format!("n must be a number from 1 to {MAX_ROUNDS}"))?,
    };
    let mut digest = Sha256::digest(b"provision");
    for _ in 1..rounds {
        digest = Sha256::digest(digest);
    }
    let mut text = String::with_capacity(96);
    for byte in digest {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    let _ = writeln!(text, " {rounds}");
    Ok(Body::text(text))
}

/// What this server is.
fn info(_query: &str) -> Result<Body, String> {
    let pid = net::process_id().map_or_else(|| "null".to_owned(), |pid| pid.to_string());
    Ok(Body::json(format!(
        "{{\"service\":\"provision-workload\",\"version\":\"{}\",\"target\":\"{}\",\"pid\":{pid}}}\n",
        env!("CARGO_PKG_VERSION"),
        net::TARGET,
    )))
}

/// The value of the first `name=value` in a query.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Result<Body, String>) -> String {
        String::from_utf8(answer.unwrap().bytes.into_owned()).unwrap()
    }

    #[test]
    fn compute_is_the_digest_of_the_digest() {
        // printf provision | sha256sum; then its raw bytes through sha256sum again.
        assert_eq!(text(compute("n=1")), format!("{} 1\n", ONE));
        assert_eq!(text(compute("x=1&n=2")), format!("{} 2\n", TWO));
        assert_eq!(text(compute("")), text(compute("n=1000")));
    }
    const ONE: &str = "267d294ad2fe2618846a5755ed3bb39d60fc70850dcdefa7f210d9c2f760fd35";
    const TWO: &str = "487db735f776c3ed2db830f6ee909f00184f6caae11e9dd11d3cb2dbe5e4f241";

    #[test]
    fn rounds_are_bounded() {
        for query in ["n=0", "n=-1", "n=", "n=1000001", "n=1e3", "n=99999999999999999999999"] {
            assert!(compute(query).unwrap_err().contains("1 to 1000000"), "{query}");
        }
    }

    #[test]
    fn values_are_found_by_their_whole_name() {
        assert_eq!(value("nn=2&n=3", "n"), Some("3"));
        assert_eq!(value("n", "n"), None);
        assert_eq!(value("", "n"), None);
    }
}
