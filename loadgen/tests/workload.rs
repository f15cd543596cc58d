//! The generator against the real workload.
#![expect(clippy::unwrap_used, reason = "a test ends at the first fault")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use loadgen::result::{Errors, Report};

struct Workload {
    child: Child,
    address: String,
}

impl Workload {
    fn start() -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../workload/Cargo.toml");
        let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/workload");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--locked", "--manifest-path", manifest, "--target-dir", target])
            .env_remove("CARGO_BUILD_TARGET")
            .status();
        assert!(built.unwrap().success(), "build the workload");
        let mut child = Command::new(format!("{target}/release/workload"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the workload");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, address }
    }

    fn load(&self, path: &str, options: &str) -> Report {
        let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .arg(format!("--url=http://{}{path}", self.address))
            .args(options.split_whitespace())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_hundred_users_get_nothing_but_right_answers() {
    let workload = Workload::start();
    for options in ["--users 100 --seconds 1", "--users 100 --seconds 1 --keep-alive", "--users 500 --requests 2000"] {
        let report = workload.load("/", &format!("{options} --expect provision"));
        assert_eq!(report.errors, Errors::default(), "{:?}", report.error_examples);
        assert!(report.succeeded > 500, "{}", report.succeeded);
    }
    // `printf provision | sha256sum`
    let digest = "267d294ad2fe2618846a5755ed3bb39d60fc70850dcdefa7f210d9c2f760fd35";
    assert_eq!(workload.load("/compute?n=1", &format!("--requests 3 --expect {digest}")).succeeded, 3);

    // A hundred times the work takes more than ten times as long.
    let median = |rounds: &str| workload.load(&format!("/compute?n={rounds}"), "--requests 20").phases.duration.p50_ms;
    let (little, much) = (median("2000"), median("200000"));
    assert!(much > 10.0 * little, "{little} ms, {much} ms");
}
