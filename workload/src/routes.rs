//! What the server answers: one line per route in [`ROUTES`].

mod alloc;
mod json;

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::net;

/// The whole body of `/`; callers check it, so that no other server's answer counts.
pub const HELLO: &str = "hello from provision\n";
/// Rounds of `/compute` where none are given.
const DEFAULT_ROUNDS: u32 = 1_000;
/// Most rounds of one request; as many take the interpreter half a minute or so.
const MAX_ROUNDS: u32 = 1_000_000;

/// The length of `/body`.
const BODY_LENGTH: usize = 64 * 1024;

/// A route's function: the query (without `?`) to a body, or what is wrong with the query.
type Handler = fn(query: &str) -> Result<Body, String>;

/// Every route; the first whose path is equal answers.
pub const ROUTES: &[(&str, Handler)] = &[
    ("/", hello),
    ("/alloc", alloc::alloc),
    ("/body", body),
    ("/compute", compute),
    ("/info", info),
    ("/json", json::json),
];

const TEXT: &str = "text/plain; charset=utf-8";

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
        Self::new(TEXT, text)
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

    #[cfg(test)]
    fn to_text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }
}

/// As little work as an answer can be: what is measured is the sockets.
fn hello(_query: &str) -> Result<Body, String> {
    Ok(Body::text(HELLO))
}

/// 64 KiB that are there already: what is measured is sending them.
fn body(_query: &str) -> Result<Body, String> {
    static BODY: [u8; BODY_LENGTH] = body_bytes();
    Ok(Body { content_type: TEXT, bytes: Cow::Borrowed(&BODY) })
}

/// [`HELLO`] and then letters, in lines of 64 bytes; 26 lines in a row are all different.
const fn body_bytes() -> [u8; BODY_LENGTH] {
    let mut bytes = [b'\n'; BODY_LENGTH];
    let mut index = 0;
    while index < BODY_LENGTH {
        if index < HELLO.len() {
            bytes[index] = HELLO.as_bytes()[index];
        } else if index % 64 != 63 {
            bytes[index] = b'a' + ((index + index / 64 * 5) % 26) as u8;
        }
        index += 1;
    }
    bytes
}

/// `n` rounds of SHA-256, each over the digest before, the first over `provision`.
fn compute(query: &str) -> Result<Body, String> {
    let rounds = count(query, DEFAULT_ROUNDS, MAX_ROUNDS)?;
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

/// The query's `n`, or `default` where it has none.
fn count(query: &str, default: u32, max: u32) -> Result<u32, String> {
    let Some(text) = value(query, "n") else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| format!("n must be a number from 1 to {max}"))
}

/// The value of the first `name=value` in a query; empty if there is but the name.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compute_is_the_digest_of_the_digest() {
        // printf provision | sha256sum; then its raw bytes through sha256sum again.
        assert_eq!(compute("n=1").unwrap().to_text(), format!("{} 1\n", ONE));
        assert_eq!(compute("x=1&n=2").unwrap().to_text(), format!("{} 2\n", TWO));
        assert_eq!(compute("").unwrap().to_text(), compute("n=1000").unwrap().to_text());
    }
    const ONE: &str = "267d294ad2fe2618846a5755ed3bb39d60fc70850dcdefa7f210d9c2f760fd35";
    const TWO: &str = "487db735f776c3ed2db830f6ee909f00184f6caae11e9dd11d3cb2dbe5e4f241";

    #[test]
    fn rounds_are_bounded() {
        for query in ["n=0", "n=-1", "n=", "n", "n=1000001", "n=1e3", "n=99999999999999999999999"] {
            assert!(compute(query).unwrap_err().contains("1 to 1000000"), "{query}");
        }
    }

    #[test]
    fn the_body_is_64_kib_of_lines_and_not_copied() {
        let body = body("").unwrap();
        assert!(matches!(body.bytes, Cow::Borrowed(_)));
        let text = body.to_text();
        assert_eq!(text.len(), 65_536);
        assert!(text.starts_with("hello from provision\nvwxyz"), "{}", &text[..64]);
        assert!(text.ends_with("vwxyzabcdefgh\n"), "{}", &text[text.len() - 64..]);
        assert_eq!(text.lines().skip(2).find(|line| line.len() != 63), None);
    }

    #[test]
    fn values_are_found_by_their_whole_name() {
        assert_eq!(value("nn=2&n=3", "n"), Some("3"));
        assert_eq!(value("n", "n"), Some(""));
        assert_eq!(value("x=n&nn", "n"), None);
        assert_eq!(value("", "n"), None);
    }
}
