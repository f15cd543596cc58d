//! What an open loop is for: a server that stalls must show, although it makes
//! nearly all requests wait before they are sent, not after.

use std::thread;
use std::time::Duration;

use loadgen::result::Report;
use rustix::process::{Pid, Signal, kill_process};

use crate::servers::{NullServer, load};

/// Loads the null server for 3 s with `options` and stops it for 500 ms in the middle.
fn load_with_stall(options: &str) -> Report {
    let server = NullServer::start();
    let pid = Pid::from_child(&server.child);
    let stall = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1200));
        kill_process(pid, Signal::STOP).unwrap();
        thread::sleep(Duration::from_millis(500));
        kill_process(pid, Signal::CONT).unwrap();
    });
    let report = load(&server.url, &format!("--seconds 3 --users 1 --keep-alive {options}"));
    stall.join().unwrap();
    report
}

/// 900 requests are due, 150 of them in the stall, and they wait for 250 ms on
/// average: only where the stall is over within 130 ms are fewer than 1 % of
/// all more than 100 ms late. On one connection a single one of them is sent
/// into the stall. For the uncorrected 99th percentile to pass 100 ms, ten
/// would have to be, so the machine itself would have to stall nine times.
#[test]
fn a_stall_shows_in_the_corrected_p99_alone() {
    let report = load_with_stall("--rate 300 --arrivals constant");
    let open = report.open_loop.as_ref().unwrap();
    assert_eq!((open.scheduled, open.unsent, report.succeeded), (900, 0, 900), "{:?}", report.error_examples);
    let (corrected, uncorrected) = (report.latency_corrected.as_ref().unwrap(), &report.latency_uncorrected);
    assert!(corrected.p99_ms > 100.0, "corrected p99: {} ms", corrected.p99_ms);
    assert!(uncorrected.p99_ms < 100.0, "uncorrected p99: {} ms", uncorrected.p99_ms);
    assert!(uncorrected.max_ms > 100.0, "the one request that was sent into the stall: {} ms", uncorrected.max_ms);
    assert!(open.late_starts > 50, "{open:?}");
}

/// The fault that the other test is about.
#[test]
fn a_closed_loop_omits_the_stall() {
    let report = load_with_stall("");
    assert!(report.latency_uncorrected.max_ms > 100.0 && report.latency_uncorrected.p99_ms < 100.0);
    assert_eq!(report.latency_corrected, None);
}
