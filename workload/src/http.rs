//! HTTP/1.1 as far as this server needs it: requests without a body, and answers.

use std::borrow::Cow;
use std::io::Write;

use httparse::{EMPTY_HEADER, Header};

use crate::routes::{Body, ROUTES};

/// A request's head (line and headers) must fit into this many bytes.
pub const MAX_HEAD: usize = 8 * 1024;
/// A request may have this many headers.
const MAX_HEADERS: usize = 64;

/// What the bytes received so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// The beginning of a request.
    Partial,
    /// A whole request, `length` bytes long.
    Request { length: usize, request: Request<'a> },
    /// No request that this server answers otherwise.
    Bad(Status, &'static str),
}

/// A request without a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The path, as sent.
    pub path: &'a str,
    /// What follows the `?`.
    pub query: &'a str,
    /// Answer the head only.
    pub head: bool,
    /// Close the connection after the answer.
    pub close: bool,
}

/// The status codes in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 200
    Ok,
    /// 400
    BadRequest,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 431
    HeadTooLarge,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
        }
    }
}

/// Reads one request from the front of `input`.
pub fn receive(input: &[u8]) -> Received<'_> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(input) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if input.len() < MAX_HEAD => return Received::Partial,
        Ok(_) => return Received::Bad(Status::HeadTooLarge, "request head too large"),
        Err(httparse::Error::TooManyHeaders) => return Received::Bad(Status::HeadTooLarge, "too many headers"),
        Err(_) => return Received::Bad(Status::BadRequest, "not an HTTP/1 request"),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Received::Bad(Status::BadRequest, "not an HTTP/1 request");
    };
    if method != "GET" && method != "HEAD" {
        return Received::Bad(Status::MethodNotAllowed, "only GET and HEAD");
    }
    let Some(target) = origin_form(target) else {
        return Received::Bad(Status::BadRequest, "the target must be a path");
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut close = version == 0;
    let mut host = false;
    for Header { name, value } in parsed.headers.iter() {
        if name.eq_ignore_ascii_case("host") {
            host = true;
        } else if name.eq_ignore_ascii_case("connection") {
            close = closes(value, close);
        } else if name.eq_ignore_ascii_case("transfer-encoding")
            || (name.eq_ignore_ascii_case("content-length") && *value != b"0")
        {
            return Received::Bad(Status::BadRequest, "no route takes a body");
        }
    }
    if version == 1 && !host {
        return Received::Bad(Status::BadRequest, "no Host header");
    }
    Received::Request { length, request: Request { path, query, head: method == "HEAD", close } }
}

/// The path of a target that is a path or an absolute `http://` address.
fn origin_form(target: &str) -> Option<&str> {
    match target.strip_prefix("http://") {
        Some(rest) => Some(rest.find('/').map_or("/", |slash| &rest[slash..])),
        None => target.starts_with('/').then_some(target),
    }
}

/// Whether a `Connection` header closes, where `default` holds if it says neither.
fn closes(value: &[u8], default: bool) -> bool {
    let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    options.clone().any(|option| option.eq_ignore_ascii_case(b"close"))
        || (default && !options.any(|option| option.eq_ignore_ascii_case(b"keep-alive")))
}

/// Writes the head of the answer to `request` into `output`, and returns the body to send after it.
pub fn answer(request: &Request<'_>, output: &mut Vec<u8>) -> Cow<'static, [u8]> {
    let handled = match ROUTES.iter().find(|(path, _)| *path == request.path) {
        Some((_, handler)) => handler(request.query).map_err(|fault| (Status::BadRequest, fault)),
        None => Err((Status::NotFound, "no such route".to_owned())),
    };
    match handled {
        Ok(body) => write(Status::Ok, body, request.head, request.close, output),
        Err((status, fault)) => write(status, fault_body(&fault), request.head, request.close, output),
    }
}

/// As [`answer`], to something that was no good request; the connection closes.
pub fn refuse(status: Status, fault: &str, output: &mut Vec<u8>) -> Cow<'static, [u8]> {
    write(status, fault_body(fault), false, true, output)
}

fn fault_body(fault: &str) -> Body {
    Body { content_type: "text/plain; charset=utf-8", bytes: format!("{fault}\n").into_bytes().into() }
}

fn write(status: Status, body: Body, head: bool, close: bool, output: &mut Vec<u8>) -> Cow<'static, [u8]> {
    let allow = if status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
    // Writing to a `Vec` cannot fail.
    let _ = write!(
        output,
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{allow}Connection: {}\r\n\r\n",
        status.line(),
        body.content_type,
        body.bytes.len(),
        if close { "close" } else { "keep-alive" },
    );
    if head { Cow::default() } else { body.bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request<'_> {
        match receive(text.as_bytes()) {
            Received::Request { length, request } => {
                assert_eq!(length, text.len());
                request
            }
            other => panic!("{other:?}"),
        }
    }

    fn status(text: &str) -> Status {
        match receive(text.as_bytes()) {
            Received::Bad(status, _) => status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_prefix_of_a_request_is_partial() {
        let whole = "GET /compute?n=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(receive(&whole.as_bytes()[..length]), Received::Partial, "{length}");
        }
        assert_eq!(request(whole), Request { path: "/compute", query: "n=1", head: false, close: false });
    }

    #[test]
    fn the_connection_closes_as_asked() {
        assert!(!request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").close);
        assert!(request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").close);
        assert!(request("GET / HTTP/1.1\r\nHost: a\r\nconnection: te, close\r\n\r\n").close);
        assert!(request("GET / HTTP/1.0\r\n\r\n").close);
        assert!(!request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").close);
    }

    #[test]
    fn what_is_no_good_request_is_refused() {
        assert_eq!(status("\x16\x03\x01\x02\x00"), Status::BadRequest);
        assert_eq!(status("GET / HTTP/2.0\r\n\r\n"), Status::BadRequest);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), Status::BadRequest);
        assert_eq!(status("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), Status::BadRequest);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), Status::BadRequest);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), Status::BadRequest);
        assert_eq!(status("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), Status::MethodNotAllowed);
        assert_eq!(status(&format!("GET /{}", "a".repeat(MAX_HEAD))), Status::HeadTooLarge);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65))), Status::HeadTooLarge);
    }

    #[test]
    fn absolute_targets_are_paths() {
        assert_eq!(request("GET http://a:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n").path, "/x");
        assert_eq!(request("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
    }
}
