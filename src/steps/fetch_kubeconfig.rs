//! Fetches the administrator's kubeconfig, so that the host can talk to the
//! cluster. It opens everything: mode 0600, never in a log.

use anyhow::Result;

use super::{Check, Context, Step};
use crate::paths;
use crate::ui::Task;

/// See the module.
pub struct FetchKubeconfig;

const ON_NODE: &str = "/etc/kubernetes/admin.conf";

impl Step for FetchKubeconfig {
    fn name(&self) -> &'static str {
        "fetch_kubeconfig"
    }

    fn title(&self) -> &'static str {
        "Fetch the kubeconfig"
    }

    fn seen_whole(&self) -> bool {
        true
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let path = cx.lab.kubeconfig();
        if !path.is_file() {
            return Ok(Check::pending(format!("{}: new", path.display())));
        }
        let same = renamed(cx, &cx.control_plane()?.read(&format!("cat {ON_NODE}"), b"")?) == paths::read(&path)?;
        Ok(if same { Check::Done } else { Check::pending(format!("{}: of another cluster", path.display())) })
    }

    fn run(&self, cx: &Context, _: &Task) -> Result<()> {
        let text = cx.control_plane()?.read(&format!("cat {ON_NODE}"), b"")?;
        paths::write_atomic(&cx.lab.kubeconfig(), renamed(cx, &text).as_bytes(), 0o600)
    }
}

/// The cluster bears the lab's name; kubeadm calls every administrator
/// `kubernetes-admin`, and merged with other kubeconfigs one would hide another.
fn renamed(cx: &Context, text: &str) -> String {
    let lab = cx.lab.name();
    text.replace(&format!("kubernetes-admin@{lab}"), lab).replace("kubernetes-admin", &format!("{lab}-admin"))
}
