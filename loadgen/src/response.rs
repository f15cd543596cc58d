//! One answer, taken in pieces: its status, its length, and whether the expected text is in it.

use httparse::{EMPTY_HEADER, Status};

/// An answer's head must fit into this many bytes.
const MAX_HEAD: usize = 16 * 1024;
/// An answer's body may be this long; it is never held whole.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// An answer as far as it has come.
#[derive(Debug)]
pub struct Response {
    /// The head's bytes, until it is whole.
    head: Vec<u8>,
    status: Option<u16>,
    /// The body's length; none where it goes on until the connection ends.
    length: Option<u64>,
    received: u64,
    reusable: bool,
    finder: Finder,
}

impl Response {
    /// Waits for an answer, and for `expect` in its body.
    pub fn new(expect: Option<&str>) -> Self {
        let finder = Finder::new(expect.unwrap_or_default().as_bytes());
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

    /// Takes more bytes; true once the answer is whole.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, String> {
        if self.status.is_some() {
            return self.body(bytes);
        }
        self.head.extend_from_slice(bytes);
        let mut headers = [EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let body_at = match parsed.parse(&self.head).map_err(|fault| format!("no HTTP answer: {fault}"))? {
            Status::Complete(length) => length,
            Status::Partial if self.head.len() > MAX_HEAD => return Err("the answer's head is too large".into()),
            Status::Partial => return Ok(false),
        };
        let status = parsed.code.unwrap_or_default();
        self.reusable = parsed.version == Some(1);
        for header in parsed.headers.iter() {
            let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
            if header.name.eq_ignore_ascii_case("content-length") {
                self.length = Some(value.parse().map_err(|_| format!("Content-Length {value:?}"))?);
            } else if header.name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
                self.reusable = false;
            }
        }
        self.status = Some(status);
        if matches!(status, 100..=199 | 204 | 304) {
            self.length = Some(0);
        }
        let head = std::mem::take(&mut self.head);
        self.body(&head[body_at..])
    }

    /// The connection has ended; true if that makes the answer whole.
    pub fn end(&self) -> bool {
        self.status.is_some() && self.length.is_none_or(|length| self.received >= length)
    }

    fn body(&mut self, bytes: &[u8]) -> Result<bool, String> {
        self.received += bytes.len() as u64;
        if self.received > MAX_BODY {
            return Err(format!("the answer is longer than {MAX_BODY} bytes"));
        }
        self.finder.push(bytes);
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
    wanted: Vec<u8>,
    tail: Vec<u8>,
    found: bool,
}

impl Finder {
    fn new(wanted: &[u8]) -> Self {
        Self { wanted: wanted.to_vec(), tail: Vec::new(), found: wanted.is_empty() }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.found {
            return;
        }
        self.tail.extend_from_slice(bytes);
        self.found = self.tail.windows(self.wanted.len()).any(|window| window == self.wanted);
        let keep = self.wanted.len() - 1;
        if self.tail.len() > keep {
            self.tail.drain(..self.tail.len() - keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";

    #[test]
    fn an_answer_is_the_same_in_any_pieces() {
        for size in 1..ANSWER.len() {
            let mut response = Response::new(Some("lo wo"));
            let pieces: Vec<&[u8]> = ANSWER.as_bytes().chunks(size).collect();
            for (number, piece) in pieces.iter().enumerate() {
                assert_eq!(response.push(piece).unwrap(), number + 1 == pieces.len(), "{size} {number}");
            }
            assert_eq!((response.status(), response.body_bytes()), (Some(200), 11));
            assert!(response.found() && response.reusable());
        }
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_ends_it() {
        let mut response = Response::new(Some("late"));
        assert!(!response.push(b"HTTP/1.1 200 OK\r\n\r\nla").unwrap());
        assert!(!response.push(b"te").unwrap());
        assert!(response.end() && response.found() && !response.reusable());
    }

    #[test]
    fn what_is_cut_or_wrong_is_no_answer() {
        let mut response = Response::new(None);
        assert!(response.is_empty() && !response.end());
        assert!(!response.push(&ANSWER.as_bytes()[..ANSWER.len() - 1]).unwrap());
        assert!(!response.end());
        assert!(Response::new(None).push(b"SSH-2.0-OpenSSH\r\n").is_err());
        assert!(Response::new(None).push(format!("{ANSWER}!").as_bytes()).is_err());
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(MAX_HEAD));
        assert!(Response::new(None).push(endless.as_bytes()).is_err());
        let mut other = Response::new(Some("moon"));
        assert!(other.push(ANSWER.as_bytes()).unwrap());
        assert!(!other.found());
    }
}
