//! One answer, taken in pieces: its status, its length, and whether the expected text is in it.

use std::mem::MaybeUninit;

use httparse::{ParserConfig, Status};

/// An answer's head must fit into this many bytes.
const MAX_HEAD: usize = 16 * 1024;
/// An answer's head must have no more lines than this.
const MAX_HEADERS: usize = 64;
/// An answer's body may be this long; it is never held whole.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// An answer as far as it has come.
#[derive(Debug)]
pub struct Response {
    /// The head's bytes while a part of it is missing.
    head: Vec<u8>,
    status: Option<u16>,
    /// The body's length; none where it goes on until the connection ends.
    length: Option<u64>,
    received: u64,
    reusable: bool,
    finder: Finder,
}

impl Response {
    /// Waits for an answer, and for `expect` in its body; empty is in any.
    pub fn new(expect: &[u8]) -> Self {
        let finder = Finder { tail: Vec::new(), found: expect.is_empty() };
        Self { head: Vec::new(), status: None, length: None, received: 0, reusable: false, finder }
    }

    /// The status, once the head is here.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Bytes of the body so far.
    pub fn body_bytes(&self) -> u64 {
        self.received
    }

    /// Whether the expected text has come by.
    pub fn found(&self) -> bool {
        self.finder.found
    }

    /// Whether nothing at all has come.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.status.is_none()
    }

    /// Whether the connection may carry another request after this answer.
    pub fn reusable(&self) -> bool {
        self.reusable && self.length.is_some()
    }

    /// Takes more bytes; true once the answer is whole. `expect` is always what
    /// [`Response::new`] was given: ten thousand answers need no copies of it.
    pub fn push(&mut self, bytes: &[u8], expect: &[u8]) -> Result<bool, String> {
        if self.status.is_some() {
            return self.body(bytes, expect);
        }
        if self.head.is_empty() {
            // Nearly always the head comes in one piece, and is read where it lies.
            return match self.read_head(bytes)? {
                Some(body_at) => self.body(&bytes[body_at..], expect),
                None => {
                    self.head.extend_from_slice(bytes);
                    Ok(false)
                }
            };
        }
        let mut head = std::mem::take(&mut self.head);
        head.extend_from_slice(bytes);
        match self.read_head(&head)? {
            Some(body_at) => self.body(&head[body_at..], expect),
            None => {
                self.head = head;
                Ok(false)
            }
        }
    }

    /// Reads the head; returns where the body begins, or none if more must come.
    fn read_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        let mut headers = [MaybeUninit::uninit(); MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut []);
        let parser = ParserConfig::default();
        let read = parser.parse_response_with_uninit_headers(&mut parsed, bytes, &mut headers);
        let body_at = match read.map_err(|fault| format!("no HTTP answer: {fault}"))? {
            Status::Complete(length) => length,
            Status::Partial if bytes.len() > MAX_HEAD => return Err("the answer's head is too large".into()),
            Status::Partial => return Ok(None),
        };
        let status = parsed.code.unwrap_or_default();
        self.reusable = parsed.version == Some(1);
        for header in parsed.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
                self.length = Some(value.parse().map_err(|_| format!("Content-Length {value:?}"))?);
            } else if header.name.eq_ignore_ascii_case("connection")
                && header.value.trim_ascii().eq_ignore_ascii_case(b"close")
            {
                self.reusable = false;
            }
        }
        self.status = Some(status);
        if matches!(status, 100..=199 | 204 | 304) {
            self.length = Some(0);
        }
        Ok(Some(body_at))
    }

    /// The connection has ended; true if that makes the answer whole.
    pub fn end(&self) -> bool {
        self.status.is_some() && self.length.is_none_or(|length| self.received >= length)
    }

    fn body(&mut self, bytes: &[u8], expect: &[u8]) -> Result<bool, String> {
        self.received += bytes.len() as u64;
        if self.received > MAX_BODY {
            return Err(format!("the answer is longer than {MAX_BODY} bytes"));
        }
        self.finder.push(bytes, expect);
        match self.length {
            Some(length) if self.received > length => Err("the answer is longer than it said".into()),
            Some(length) => Ok(self.received == length),
            None => Ok(false),
        }
    }
}

/// Finds a text in a stream; keeps no more of it than a match could begin in.
#[derive(Debug)]
struct Finder {
    tail: Vec<u8>,
    found: bool,
}

impl Finder {
    fn push(&mut self, bytes: &[u8], wanted: &[u8]) {
        if self.found {
            return;
        }
        if contains(bytes, wanted) {
            self.found = true;
            return;
        }
        let keep = wanted.len() - 1;
        // What begins in an earlier piece and ends in this one.
        self.tail.extend_from_slice(&bytes[..keep.min(bytes.len())]);
        self.found = contains(&self.tail, wanted);
        if bytes.len() >= keep {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - keep..]);
        } else {
            let surplus = self.tail.len().saturating_sub(keep);
            self.tail.drain(..surplus);
        }
    }
}

/// Whether `wanted`, which is not empty, is in `bytes`: from one of its first
/// bytes to the next, for a window at every place takes long in a long body.
fn contains(mut bytes: &[u8], wanted: &[u8]) -> bool {
    while let Some(at) = bytes.iter().position(|byte| *byte == wanted[0]) {
        bytes = &bytes[at..];
        if bytes.starts_with(wanted) {
            return true;
        }
        bytes = &bytes[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";

    #[test]
    fn an_answer_is_the_same_in_any_pieces() {
        for size in 1..ANSWER.len() {
            let mut response = Response::new(b"lo wo");
            let pieces: Vec<&[u8]> = ANSWER.as_bytes().chunks(size).collect();
            for (number, piece) in pieces.iter().enumerate() {
                assert_eq!(response.push(piece, b"lo wo").unwrap(), number + 1 == pieces.len(), "{size} {number}");
            }
            assert_eq!((response.status(), response.body_bytes()), (Some(200), 11));
            assert!(response.found() && response.reusable());
        }
    }

    #[test]
    fn a_text_is_found_wherever_it_lies() {
        let body = "aab aaab aabaaab";
        for wanted in ["a", "aaab", "b a", "baaab", "aab aaab aabaaab", "aaaa", "ba b", "baaabb"] {
            for size in 1..=body.len() {
                let mut finder = Finder { tail: Vec::new(), found: false };
                for piece in body.as_bytes().chunks(size) {
                    finder.push(piece, wanted.as_bytes());
                }
                assert_eq!(finder.found, body.contains(wanted), "{wanted} in pieces of {size}");
            }
        }
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_ends_it() {
        let mut response = Response::new(b"late");
        assert!(!response.push(b"HTTP/1.1 200 OK\r\n\r\nla", b"late").unwrap());
        assert!(!response.push(b"te", b"late").unwrap());
        assert!(response.end() && response.found() && !response.reusable());
    }

    #[test]
    fn what_is_cut_or_wrong_is_no_answer() {
        let mut response = Response::new(b"");
        assert!(response.is_empty() && !response.end());
        assert!(!response.push(&ANSWER.as_bytes()[..ANSWER.len() - 1], b"").unwrap());
        assert!(!response.end());
        assert!(Response::new(b"").push(b"SSH-2.0-OpenSSH\r\n", b"").is_err());
        assert!(Response::new(b"").push(format!("{ANSWER}!").as_bytes(), b"").is_err());
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(MAX_HEAD));
        assert!(Response::new(b"").push(endless.as_bytes(), b"").is_err());
        let mut other = Response::new(b"moon");
        assert!(other.push(ANSWER.as_bytes(), b"moon").unwrap());
        assert!(!other.found());
    }
}
