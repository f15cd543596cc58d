//! Several runs in one process, and runs that begin together.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use loadgen::result::Report;

use crate::servers::{GOOD, NullServer, load, loadgen, serve};

fn plan(json: &str, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen")).args(["--plan", json]).args(options).output().unwrap()
}

fn reports(output: &Output) -> Vec<Report> {
    output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(of).collect()
}

fn of(line: &[u8]) -> Report {
    serde_json::from_slice(line).unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(line)))
}

#[test]
fn runs_follow_one_another_with_a_gap() {
    let server = NullServer::start();
    let url = &server.url;
    let json = format!(
        r#"[{{"name": "closed", "url": "{url}", "users": 3, "requests": 30, "expect": "hello"}},
            {{"name": "open", "url": "{url}", "users": 9, "rate": 100, "arrivals": "constant", "seed": 5,
              "seconds": 0.5, "warmup": 0.1, "timeout": 5, "keep_alive": true, "status": 200}}]"#
    );
    let output = plan(&json, &["--gap", "0.4"]);
    assert!(output.status.success(), "{output:?}");
    let reports = reports(&output);
    assert_eq!(reports.iter().map(|report| report.name.as_str()).collect::<Vec<_>>(), ["closed", "open"]);
    assert_eq!((reports[0].users, reports[0].succeeded, reports[0].keep_alive), (3, 30, false));
    let open = reports[1].open_loop.as_ref().unwrap();
    assert_eq!((reports[1].users, open.seed, open.scheduled, reports[1].keep_alive), (9, 5, 50, true));
    // The warm-up lies between as well.
    let between = (reports[1].started_unix_us - reports[0].ended_unix_us) as f64 / 1e6;
    assert!((0.5..10.0).contains(&between), "{between} s");
}

#[test]
fn a_run_without_success_is_printed_and_told_by_the_exit_code() {
    let (url, _) = serve(|mut stream| stream.write_all(GOOD).unwrap());
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let json = format!(r#"[{{"url": "{refused}", "requests": 2}}, {{"url": "{url}", "requests": 2}}]"#);
    let output = plan(&json, &[]);
    assert_eq!(output.status.code(), Some(1));
    let reports = reports(&output);
    assert_eq!((reports[0].succeeded, reports[0].errors.connect, reports[1].succeeded), (0, 2, 2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&refused), "{output:?}");
}

#[test]
fn each_report_comes_when_its_run_ends() {
    let server = NullServer::start();
    let run = |seconds| format!(r#"{{"url": "{}", "users": 1, "seconds": {seconds}, "rate": 20}}"#, server.url);
    let mut child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--plan", &format!("[{}, {}]", run(0.2), run(30.0))])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(of(line.as_bytes()).succeeded > 0 && start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_wrong_plan_sends_nothing() {
    let (url, connections) = serve(|mut stream| stream.write_all(GOOD).unwrap());
    let good = format!(r#"{{"url": "{url}", "requests": 2}}"#);
    for (json, word) in [
        (format!(r#"[{good}, {{"url": "http://1.1.1.1/"}}]"#), "run 2"),
        (format!(r#"[{good}, {{"uri": "http://127.0.0.1/"}}]"#), "unknown field"),
        (format!("[{good}"), "--plan"),
    ] {
        let output = plan(&json, &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains(word), "{output:?}");
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_start_can_be_agreed_on() {
    let server = NullServer::start();
    let now_ms = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let at = now_ms() + 800;
    let report = load(&server.url, &format!("--requests 2 --start-at {at}"));
    let began_ms = report.started_unix_us as f64 / 1000.0 - at as f64;
    assert!(began_ms >= 0.0 && (began_ms - report.started_late_ms).abs() < 100.0, "{began_ms}");
    assert!(report.started_late_ms < 2000.0, "{}", report.started_late_ms);

    let report = load(&server.url, &format!("--requests 2 --start-at {}", now_ms() - 5000));
    assert!((5000.0..60_000.0).contains(&report.started_late_ms), "{}", report.started_late_ms);

    let output = loadgen(&server.url, &format!("--start-at {}", now_ms() + 660_000));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("600 s ahead"), "{output:?}");
}
