//! Whether pods are reached from the nodes on which they do not run: that the
//! ways between the nodes were set says nothing of what lies between them.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Context;
use crate::arms::PORT;
use crate::failure::{Kind, Told};
use crate::node::{Node, Output};
use crate::pods::RunningPod;

/// How long an answer from another node may take; an emulated one is slow to
/// start what asks.
const ANSWER: Duration = Duration::from_secs(60);

/// The nodes besides `home`, on which `pod` runs; each must be answered by it.
pub(super) fn reached_from(cx: &Context, home: &dyn Node, pod: &RunningPod) -> Result<Vec<String>> {
    let command = format!(
        "timeout {} bash /opt/provision/request.sh {} {PORT} / 1",
        ANSWER.as_secs(),
        shell_words::quote(&pod.ip)
    );
    cx.on_nodes(
        |spec| spec.name != home.name(),
        |node, _, _| {
            let said = node.exec(&command, b"").context("ask a pod on another node")?;
            match answered(&said) {
                true => Ok(node.name().to_owned()),
                false => Err(not_reached(node.name(), home.name(), &pod.ip, &said).into()),
            }
        },
    )
}

/// A line is "MICROSECONDS STATUS BODY".
fn answered(said: &Output) -> bool {
    said.status == 0 && said.stdout.split(' ').nth(1) == Some("200")
}

fn not_reached(node: &str, home: &str, ip: &str, said: &Output) -> Told {
    let why = match (said.status, said.stderr.trim().lines().last()) {
        // As `timeout` ends.
        (124, _) => format!("no answer within {} s", ANSWER.as_secs()),
        (_, Some(line)) => line.to_owned(),
        (status, None) => format!("exit status {status}: {}", said.stdout.trim()),
    };
    let text = format!("{node} does not reach a pod on {home} ({ip}): {why}");
    Told { kind: Kind::Connection, reason: "pods-apart".into(), text, log: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_is_good_counts() {
        let said =
            |status: i32, stdout: &str, stderr: &str| Output { status, stdout: stdout.into(), stderr: stderr.into() };
        assert!(answered(&said(0, "5120 200 hello\n", "")));
        let why = |said: &Output| {
            assert!(!answered(said));
            not_reached("node1", "node2", "10.244.1.5", said).text
        };
        let begin = "node1 does not reach a pod on node2 (10.244.1.5): ";
        assert_eq!(why(&said(124, "", "")), format!("{begin}no answer within 60 s"));
        let refused = said(1, "", "request.sh: line 13: /dev/tcp/10.244.1.5/1234: No route to host\n");
        assert!(why(&refused).ends_with("No route to host"));
        assert_eq!(why(&said(0, "91 404 what\n", "")), format!("{begin}exit status 0: 91 404 what"));
    }
}
