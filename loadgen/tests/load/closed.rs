//! Closed loops against servers that misbehave in one way each.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loadgen::result::{Errors, FORMAT};

use crate::servers::{GOOD, NullServer, load, loadgen, read_head, report, serve, serve_late, serve_never};

#[test]
fn requests_are_counted_and_timed() {
    let (url, connections) = serve(|mut stream| stream.write_all(GOOD).unwrap());
    let report = load(&url, "--users 5 --requests 50 --expect hello");
    assert_eq!(report.format, FORMAT);
    assert_eq!((report.requests, report.succeeded, report.users), (50, 50, 5));
    assert_eq!((report.errors, report.body_bytes), (Errors::default(), 300));
    assert_eq!(connections.load(Ordering::SeqCst), 50, "one connection per request");
    let phases = &report.phases;
    for phase in [&phases.blocked, &phases.connecting, &phases.sending, &phases.waiting, &phases.receiving] {
        assert_eq!(phase.count, 50);
        assert!(phase.min_ms <= phase.p50_ms && phase.p50_ms <= phase.p99_ms && phase.p99_ms <= phase.max_ms);
    }
    assert!(phases.blocked.mean_ms >= phases.connecting.mean_ms && phases.connecting.max_ms > 0.0);
    let sum = phases.sending.mean_ms + phases.waiting.mean_ms + phases.receiving.mean_ms;
    assert!((phases.duration.mean_ms - sum).abs() < 0.01, "{} {sum}", phases.duration.mean_ms);
    let rate = report.requests as f64 / report.seconds_measured;
    assert!((report.requests_per_second - rate).abs() < 0.001);
    let whole = &report.latency_uncorrected;
    assert!((whole.mean_ms - phases.blocked.mean_ms - phases.duration.mean_ms).abs() < 0.01, "{}", whole.mean_ms);
    assert!(whole.count == 50 && whole.p99_ms <= whole.p999_ms && whole.p999_ms <= whole.max_ms);
    assert_eq!((&report.latency_corrected, &report.open_loop), (&None, &None), "that is for an open loop");
    let measured_us = (report.ended_unix_us - report.started_unix_us) as f64;
    assert!((measured_us / 1e6 - report.seconds_measured).abs() < 0.001, "{measured_us}");
    assert_eq!((report.started_late_ms, report.name.as_str()), (0.0, ""));
}

#[test]
fn the_generator_tells_what_it_takes() {
    let server = NullServer::start();
    let report = load(&server.url, "--users 10 --warmup 0.3 --seconds 1 --keep-alive --name mine");
    assert_eq!(report.name, "mine");
    let cpu = report.generator_cpu_seconds;
    assert!(cpu > 0.001 && cpu < report.seconds_measured * 1.2, "one thread: {cpu} s");
    assert!((500..30 * 1024).contains(&report.generator_peak_rss_kib), "{}", report.generator_peak_rss_kib);
}

#[test]
fn ten_thousand_users_fit_into_30_mib() {
    let server = NullServer::start();
    let output = loadgen(&server.url, "--users 10000 --requests 20000 --keep-alive --timeout 20");
    let report = report(&output);
    // Where the system refuses so many open files, some fail; that takes no less memory.
    assert!(report.succeeded > 500, "{:?}", report.error_examples);
    assert!(report.generator_peak_rss_kib < 30 * 1024, "{} KiB", report.generator_peak_rss_kib);
}

#[test]
fn a_slow_server_shows_in_waiting_alone() {
    let url = serve_late(Duration::from_millis(200));
    let report = load(&url, "--users 3 --requests 12");
    let phases = &report.phases;
    assert!(phases.waiting.p50_ms > 100.0, "{:?}", phases.waiting);
    for phase in [&phases.connecting, &phases.sending, &phases.receiving] {
        assert!(phase.p50_ms < 100.0, "{phase:?}");
    }
    assert!(report.generator_busy < 0.5, "it waits nearly all the time: {}", report.generator_busy);
}

#[test]
fn a_slow_body_shows_in_receiving_alone() {
    let (url, _) = serve(|mut stream| {
        stream.set_nodelay(true).unwrap();
        stream.write_all(&GOOD[..GOOD.len() - 3]).unwrap();
        thread::sleep(Duration::from_millis(200));
        stream.write_all(&GOOD[GOOD.len() - 3..]).unwrap();
    });
    let phases = load(&url, "--requests 5 --expect hello").phases;
    assert!(phases.receiving.p50_ms > 100.0, "{:?}", phases.receiving);
    assert!(phases.waiting.p50_ms < 100.0, "{:?}", phases.waiting);
}

#[test]
fn many_users_wait_side_by_side() {
    let url = serve_late(Duration::from_millis(200));
    let start = Instant::now();
    let report = load(&url, "--users 100 --requests 200");
    assert_eq!(report.succeeded, 200);
    assert!(start.elapsed() < Duration::from_secs(10), "one after the other it takes 40 s: {:?}", start.elapsed());
}

#[test]
fn errors_are_counted_by_kind() {
    let answer = |text: &'static str| serve(move |mut stream| stream.write_all(text.as_bytes()).unwrap()).0;
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let never = serve_never();
    let none = Errors::default();
    for (url, errors, example) in [
        (answer("HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello"), Errors { status: 4, ..none }, "status 503"),
        (answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHELLO"), Errors { body: 4, ..none }, "\"hello\""),
        (answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"), Errors { reset: 4, ..none }, "closed"),
        (answer("SSH-2.0-OpenSSH\r\n"), Errors { protocol: 4, ..none }, "no HTTP answer"),
        (refused, Errors { connect: 4, ..none }, "refused"),
        (never, Errors { timeout: 4, ..none }, "waiting"),
    ] {
        let output = loadgen(&url, "--users 2 --requests 4 --timeout 1 --expect hello");
        assert_eq!(output.status.code(), Some(1), "nothing succeeded");
        let report = report(&output);
        assert_eq!(report.errors, errors, "{:?}", report.error_examples);
        assert_eq!((report.requests, report.succeeded, report.errors.total()), (4, 0, 4));
        assert!(report.error_examples[0].message.contains(example), "{:?}", report.error_examples);
        assert_eq!(report.phases.duration.count, 0);
        assert!(String::from_utf8_lossy(&output.stderr).contains("succeeded"), "{output:?}");
    }
}

#[test]
fn some_failures_are_data_and_stay_out_of_the_times() {
    let number = AtomicUsize::new(0);
    let (url, _) = serve(move |mut stream| {
        if number.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
            thread::sleep(Duration::from_millis(150));
            stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").unwrap();
        } else {
            stream.write_all(GOOD).unwrap();
        }
    });
    let report = load(&url, "--requests 10");
    assert_eq!((report.succeeded, report.errors), (5, Errors { status: 5, ..Errors::default() }));
    assert_eq!(report.phases.waiting.count, 5);
    assert!(report.phases.waiting.p50_ms < 100.0, "{:?}", report.phases.waiting);
}

#[test]
fn a_reset_within_the_body_is_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The rest of the request stays unread: closing then resets the connection.
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(&GOOD[..GOOD.len() - 3]).unwrap();
            thread::sleep(Duration::from_millis(50));
        }
    });
    let report = report(&loadgen(&url, "--requests 2"));
    assert_eq!(report.errors, Errors { reset: 2, ..Errors::default() });
    assert!(report.error_examples[0].message.contains("reset by peer"), "{:?}", report.error_examples);
}

#[test]
fn time_bounds_a_run_and_the_warm_up_is_not_counted() {
    let (url, connections) = serve(|mut stream| {
        thread::sleep(Duration::from_millis(20));
        stream.write_all(GOOD).unwrap();
    });
    let start = Instant::now();
    let report = load(&url, "--users 4 --warmup 0.5 --seconds 1");
    let took = start.elapsed().as_secs_f64();
    assert!((1.5..15.0).contains(&took), "{took}");
    assert!((1.0..5.0).contains(&report.seconds_measured), "{}", report.seconds_measured);
    let all = connections.load(Ordering::SeqCst) as u64;
    assert!(report.requests > 20 && report.requests + 20 < all, "{} of {all}", report.requests);
    assert!(report.requests_per_second <= 200.0, "4 users at 20 ms each: {}", report.requests_per_second);
}

#[test]
fn requests_in_flight_at_the_end_may_end() {
    let url = serve_late(Duration::from_millis(700));
    let report = load(&url, "--users 2 --seconds 0.2");
    assert_eq!(report.succeeded, 2);
    assert!(report.seconds_measured >= 0.7 && report.requests_per_second < 3.0, "{report:?}");
}

#[test]
fn a_request_that_is_never_answered_does_not_hold_the_run_up() {
    let output = loadgen(&serve_never(), "--users 2 --seconds 0.2 --timeout 600");
    let report = report(&output);
    assert_eq!(report.errors, Errors { timeout: 2, ..Errors::default() });
    let message = &report.error_examples[0].message;
    assert_eq!(message, "not answered within 20 s of the end (waiting)");
}

#[test]
fn keep_alive_uses_connections_again_and_outlives_their_end() {
    let (url, connections) = serve(|mut stream| {
        // Three answers per connection, then the end, without having said so.
        for left in (0..3).rev() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").unwrap();
            if left > 0 && !read_head(&mut stream) {
                return;
            }
        }
    });
    let report = load(&url, "--users 2 --requests 12 --keep-alive");
    assert_eq!((report.succeeded, report.errors), (12, Errors::default()));
    let connections = connections.load(Ordering::SeqCst);
    assert!((4..=6).contains(&connections), "{connections}");
    assert_eq!(report.phases.connecting.min_ms, 0.0);
}

#[test]
fn an_end_that_comes_with_the_answer_is_no_error() {
    // The server ends each connection without having said so: sometimes the
    // end is there with the answer, sometimes it comes while the next is sent.
    let (url, connections) =
        serve(|mut stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").unwrap());
    let report = load(&url, "--users 4 --requests 200 --keep-alive");
    assert_eq!((report.succeeded, report.errors), (200, Errors::default()), "{:?}", report.error_examples);
    assert_eq!(connections.load(Ordering::SeqCst), 200);
}

#[test]
fn a_long_answer_comes_whole() {
    let body = "x".repeat(300_000);
    let (url, _) = serve(move |mut stream| {
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() + 6).as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        stream.write_all(b"hello\n").unwrap();
    });
    let report = load(&url, "--users 2 --requests 20 --expect hello");
    assert_eq!((report.succeeded, report.body_bytes), (20, 20 * 300_006));

    let (url, _) = serve(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhel").unwrap();
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"lo\n").unwrap();
    });
    assert_eq!(load(&url, "--requests 5 --expect hello").body_bytes, 30, "without a length, the end ends it");
}

#[test]
fn usage_is_exit_code_2_and_outside_is_refused() {
    for (url, word) in [("http://1.1.1.1/", "1.1.1.1"), ("http://example.com/", "cluster"), ("ftp://x/", "http://")] {
        let output = loadgen(url, "");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(word), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}
