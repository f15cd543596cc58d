//! Pods of the lab's own namespace: made, waited for, and their trouble put
//! into words.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::arms::NAMESPACE;
use crate::failure::{Kind, Told};
use crate::kubectl::Kubectl;

/// A pod that serves.
#[derive(Debug, Clone)]
pub struct RunningPod {
    /// Its address.
    pub ip: String,
    /// The id of its one container.
    pub container: String,
}

/// Waits until pod `name` runs with its container started; trouble that does
/// not heal by waiting ends the wait at once.
pub fn wait_running(kubectl: &Kubectl, name: &str, limit: Duration) -> Result<RunningPod> {
    kubectl.wait_for(&format!("pod {NAMESPACE}/{name} does not run"), limit, |kubectl| {
        let pod = kubectl.json(&["get", "pod", "--namespace", NAMESPACE, name])?;
        if let Some(pod) = running(&pod) {
            return Ok(Ok(pod));
        }
        if let Some(trouble) = trouble(&pod) {
            // What the container said before it died, if it lived at all.
            let said = kubectl
                .read(&["logs", "--namespace", NAMESPACE, name, "--previous", "--tail=5"])
                .map(|text| text.lines().map(|line| format!("\n  | {line}")).collect::<String>())
                .unwrap_or_default();
            let text = format!(
                "pod {NAMESPACE}/{name}: {trouble}{said}\n  look closer:  \
                 KUBECONFIG=$(provision kubeconfig --path) kubectl describe pod -n {NAMESPACE} {name}"
            );
            return Err(Told { kind: Kind::Pod, reason: trouble.reason, text, log: None }.into());
        }
        Ok(Err(phase(&pod)))
    })
}

/// The pod, if it runs and its container is started.
#[must_use]
pub fn running(pod: &Value) -> Option<RunningPod> {
    let status = &pod["status"]["containerStatuses"][0];
    if pod["status"]["phase"] != "Running" || status["state"]["running"].is_null() {
        return None;
    }
    Some(RunningPod {
        ip: pod["status"]["podIP"].as_str()?.to_owned(),
        container: status["containerID"].as_str()?.rsplit('/').next()?.to_owned(),
    })
}

/// Why a pod will never run as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Trouble {
    /// Kubernetes' word for it.
    pub reason: String,
    /// For people, with the missing link where it is known.
    pub words: String,
}

/// Why a pod will never run as it is, if so.
#[must_use]
pub fn trouble(pod: &Value) -> Option<Trouble> {
    let status = &pod["status"]["containerStatuses"][0];
    let waiting = &status["state"]["waiting"];
    let reason = waiting["reason"].as_str().unwrap_or_default();
    let ended = [&status["lastState"]["terminated"], &status["state"]["terminated"]];
    let said: Vec<&str> = std::iter::once(waiting)
        .chain(ended)
        .filter_map(|state| state["message"].as_str())
        .filter(|text| !text.is_empty())
        .collect();
    let restarts = status["restartCount"].as_u64().unwrap_or(0);
    let known = match reason {
        "ErrImageNeverPull" | "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" => {
            "its image is not in the node's store; the box is another one than this program made: provision down && provision up"
        }
        "CrashLoopBackOff" => "its process ends again and again",
        "CreateContainerConfigError" | "RunContainerError" | "CreateContainerError" if restarts > 0 => {
            "the runtime cannot start it"
        }
        _ if pod["status"]["phase"] == "Failed" => "it has failed",
        _ => return None,
    };
    let code = ended.iter().find_map(|state| state["exitCode"].as_i64());
    let code = code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let message = said.first().map(|text| format!(": {text}")).unwrap_or_default();
    // A container that is backed off from says why in its last state only.
    let link = said.iter().find_map(|text| link_in(text)).map(|link| format!("\n  {link}")).unwrap_or_default();
    let reason = if reason.is_empty() { "Failed" } else { reason };
    let words = format!("{reason} ({known}{code}){message}{link}");
    Some(Trouble { reason: reason.to_owned(), words })
}

/// The kubelet hands runtimes' errors on as text only; these are the known ones.
fn link_in(message: &str) -> Option<&'static str> {
    [
        ("no runtime for", "link `handler`: containerd has no runtime of the RuntimeClass's handler: provision up --step install_runtime"),
        ("libwasmedge", "link `library`: crun finds no libwasmedge: provision up --step install_runtime"),
        // crun's words for a module that it took for a program.
        ("exists but it is not executable", "link `annotation`: the module was started as a program: module.wasm.image/variant is not on the pod, or containerd does not hand it on: provision ssh -- grep -A9 runtimes.crun /etc/containerd/config.toml"),
        ("exec format error", "link `annotation` or `handler`: the module was started as a program; annotation module.wasm.image/variant did not reach crun's handler"),
        ("could not find handler", "link `handler`: crun is built without WasmEdge: provision ssh -- crun --version"),
    ]
    .into_iter()
    .find_map(|(pattern, link)| message.to_lowercase().contains(pattern).then_some(link))
}

fn phase(pod: &Value) -> String {
    let status = &pod["status"];
    let detail = status["containerStatuses"][0]["state"]["waiting"]["reason"]
        .as_str()
        .or_else(|| {
            status["conditions"]
                .as_array()?
                .iter()
                .find(|condition| condition["status"] == "False" && condition["type"] == "PodScheduled")?["message"]
                .as_str()
        })
        .unwrap_or("no container yet");
    format!("phase {}, {detail}", status["phase"].as_str().unwrap_or("unknown"))
}

/// Deletes pod or job `name` and waits until it is gone.
pub fn delete(kubectl: &Kubectl, kind: &str, name: &str) -> Result<()> {
    kubectl
        .read(&["delete", kind, "--namespace", NAMESPACE, name, "--ignore-not-found", "--wait", "--timeout=110s"])
        .map(drop)
        .with_context(|| format!("delete {kind} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(reason: &str, message: &str) -> Value {
        serde_json::json!({"status": {"phase": "Pending", "containerStatuses": [
            {"restartCount": 2, "state": {"waiting": {"reason": reason, "message": message}},
             "lastState": {"terminated": {"exitCode": 1, "message": ""}}}]}})
    }

    #[test]
    fn trouble_is_told_from_waiting() {
        assert_eq!(trouble(&pod("ContainerCreating", "")), None);
        let Trouble { words: text, .. } =
            trouble(&pod("ErrImageNeverPull", "Container image \"x\" is not present")).unwrap();
        assert!(text.contains("not in the node's store") && text.contains("\"x\""), "{text}");
        let Trouble { words: text, .. } = trouble(&pod("CrashLoopBackOff", "")).unwrap();
        assert!(text.contains("exit code 1"), "{text}");
    }

    #[test]
    fn the_missing_link_is_found_in_the_last_state_of_a_container_that_is_backed_off_from() {
        let mut pod = pod("CrashLoopBackOff", "back-off 10s restarting failed container");
        pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["message"] =
            "the path `/workload.wasm` exists but it is not executable".into();
        let Trouble { words: text, .. } = trouble(&pod).unwrap();
        assert!(text.contains(": back-off 10s restarting") && text.contains("link `annotation`: "), "{text}");
    }

    #[test]
    fn the_missing_link_is_named() {
        let Trouble { words: text, .. } =
            trouble(&pod("RunContainerError", "crun: open `/workload.wasm`: Exec format error")).unwrap();
        assert!(text.contains("link `annotation` or `handler`"), "{text}");
        let Trouble { words: text, .. } =
            trouble(&pod("RunContainerError", "the path `/workload.wasm` exists but it is not executable")).unwrap();
        assert!(text.contains("link `annotation`: "), "{text}");
        let Trouble { words: text, .. } =
            trouble(&pod("RunContainerError", "could not load `libwasmedge.so.0`")).unwrap();
        assert!(text.contains("link `library`"), "{text}");
    }
}
