//! Open loops: the schedule is kept, and what could not be is told.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use loadgen::result::{Errors, OpenLoop, Report};

use crate::servers::{GOOD, NullServer, load, loadgen, report, serve, serve_late, serve_never};

/// The open loop's part; every request that was due has come to some end.
fn open_loop(report: &Report) -> &OpenLoop {
    let open = report.open_loop.as_ref().unwrap();
    assert_eq!(open.scheduled, report.requests + open.unsent, "{open:?}");
    assert_eq!(report.requests, report.succeeded + report.errors.total());
    let corrected = report.latency_corrected.as_ref().unwrap();
    assert_eq!((corrected.count, report.latency_uncorrected.count), (report.succeeded, report.succeeded));
    assert!(corrected.mean_ms >= report.latency_uncorrected.mean_ms && corrected.max_ms >= corrected.p999_ms);
    open
}

#[test]
fn a_schedule_is_kept_with_and_without_keep_alive() {
    let server = NullServer::start();
    for options in ["", "--keep-alive"] {
        let options = format!("--rate 200 --arrivals constant --seconds 1 --users 50 --expect hello {options}");
        // Nearly all begin in time, unless the machine is busy with something else.
        let in_time = (0..5).any(|_| {
            let report = load(&server.url, &options);
            let open = open_loop(&report);
            assert_eq!((open.rate_wanted, open.arrivals.as_str(), open.scheduled), (200.0, "constant", 200));
            assert_eq!((report.succeeded, report.errors, open.unsent), (200, Errors::default(), 0));
            assert!((1.0..3.5).contains(&report.seconds_measured), "{}", report.seconds_measured);
            assert!(report.requests_per_second < 200.1, "{}", report.requests_per_second);
            let late_ms = report.latency_corrected.as_ref().unwrap().p50_ms - report.latency_uncorrected.p50_ms;
            // A pacer of whole milliseconds would be half of one late.
            open.late_starts < 50 && late_ms < 0.4 && report.generator_busy < 0.6
        });
        assert!(in_time, "{options}");
    }
}

#[test]
fn the_seed_decides_the_schedule() {
    let server = NullServer::start();
    let scheduled = |options: &str| {
        let report = load(&server.url, &format!("--rate 500 --seconds 1 --keep-alive {options}"));
        let open = open_loop(&report);
        assert_eq!(open.arrivals, "poisson");
        (open.seed, open.scheduled)
    };
    let first = scheduled("");
    assert_eq!(first, scheduled("--seed 1"));
    // 500 wanted; the standard deviation is 22.
    assert!((350..650).contains(&first.1), "{first:?}");
    let others: Vec<_> = (2..5).map(|seed| scheduled(&format!("--seed {seed}")).1).collect();
    assert!(others.iter().any(|other| *other != first.1), "{others:?}");
}

#[test]
fn a_schedule_of_which_nothing_was_due_is_no_failure() {
    let output = loadgen(&serve_never(), "--rate 0.001 --seconds 0.2");
    let report = report(&output);
    assert_eq!((open_loop(&report).scheduled, report.requests), (0, 0));
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_number_of_requests_ends_a_schedule_too() {
    let server = NullServer::start();
    let report = load(&server.url, "--rate 300 --requests 60 --keep-alive");
    assert_eq!((open_loop(&report).scheduled, report.requests_wanted), (60, Some(60)));
    assert!(report.seconds_measured < 5.0, "{}", report.seconds_measured);
}

#[test]
fn the_warm_up_is_cut_off_where_requests_are_due() {
    let (url, connections) = serve(|mut stream| stream.write_all(GOOD).unwrap());
    let report = load(&url, "--rate 100 --arrivals constant --warmup 0.5 --seconds 1");
    assert_eq!((open_loop(&report).scheduled, report.succeeded), (100, 100));
    assert_eq!(connections.load(Ordering::SeqCst), 150);
}

#[test]
fn a_slow_server_shows_in_the_corrected_time() {
    // 20 a second are due and 5 are served.
    let url = serve_late(Duration::from_millis(200));
    let report = load(&url, "--rate 20 --arrivals constant --seconds 1 --users 1");
    let open = open_loop(&report);
    assert_eq!(open.scheduled, 20);
    assert!(open.unsent >= 4 && open.late_starts >= 5, "two seconds after the end all is over: {open:?}");
    let corrected = report.latency_corrected.as_ref().unwrap();
    assert!(corrected.p50_ms > 600.0, "{}", corrected.p50_ms);
    assert!(report.latency_uncorrected.p50_ms < 500.0, "{}", report.latency_uncorrected.p50_ms);
}

#[test]
fn what_is_not_answered_at_the_end_is_given_up() {
    let start = Instant::now();
    let output = loadgen(&serve_never(), "--rate 10 --arrivals constant --seconds 0.5 --users 2");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(1));
    let report = report(&output);
    assert_eq!((open_loop(&report).scheduled, open_loop(&report).unsent), (5, 3));
    assert_eq!(report.errors, Errors { timeout: 2, ..Errors::default() });
    assert!(report.error_examples[0].message.contains("of the end (waiting)"), "{:?}", report.error_examples);
    assert_eq!((report.seconds_measured, report.requests_per_second), (0.5, 0.0));
}

#[test]
fn a_time_out_counts_from_when_a_request_is_due() {
    let output = loadgen(&serve_never(), "--rate 10 --arrivals constant --seconds 1 --users 1 --timeout 0.3");
    let report = report(&output);
    assert_eq!(open_loop(&report).scheduled, 10);
    assert_eq!(report.errors, Errors { timeout: report.requests, ..Errors::default() });
    assert!(report.requests >= 3 && report.error_examples[0].message.contains("0.3 s"), "{:?}", report.error_examples);
}

#[test]
fn a_connection_that_ends_while_idle_costs_nothing() {
    let (url, connections) = serve(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").unwrap();
        thread::sleep(Duration::from_millis(10));
    });
    let report = load(&url, "--rate 10 --arrivals constant --requests 10 --users 1 --keep-alive");
    assert_eq!((open_loop(&report).scheduled, report.succeeded), (10, 10));
    assert_eq!(connections.load(Ordering::SeqCst), 10);
}
