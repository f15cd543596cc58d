//! The null server as a program, asked over plain sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::servers::{NullServer, load};

#[test]
fn it_answers_on_one_connection_until_told_to_close() {
    let server = NullServer::start();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
        stream.write_all(b"\r\n").unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\nhello from provision\n") {
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("hello from provision\n"), "{rest:?}");
}

#[test]
fn it_serves_many_in_both_ways() {
    let server = NullServer::start();
    for options in ["--users 200 --requests 4000", "--users 200 --requests 4000 --keep-alive"] {
        let report = load(&server.url, &format!("{options} --expect provision"));
        assert_eq!((report.succeeded, report.body_bytes), (4000, 4000 * 21), "{:?}", report.error_examples);
    }
}

#[test]
fn it_ends_in_time_and_stays_inside() {
    let null_server = |options: &[&str]| {
        let start = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_loadgen")).arg("--null-server").args(options).output().unwrap();
        (output, start.elapsed())
    };
    let (output, took) = null_server(&["127.0.0.1:0", "--seconds", "0.5"]);
    assert!(output.status.success() && (0.5..20.0).contains(&took.as_secs_f64()), "{took:?} {output:?}");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    for address in ["0.0.0.0:0", "1.1.1.1:80", "localhost:80"] {
        let (output, _) = null_server(&[address]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    let taken = NullServer::start();
    let (output, _) = null_server(&[&taken.address]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&taken.address), "{output:?}");
}
