//! The RuntimeClasses that send a pod to crun or runc, and the namespace of the arms.

use anyhow::Result;

use super::{Check, Context, Step};
use crate::ui::Task;

/// See the module.
pub struct CreateRuntimeClass;

const MANIFEST: &str = include_str!("../../templates/node/files/runtime-class.yaml.tera");

impl Step for CreateRuntimeClass {
    fn name(&self) -> &'static str {
        "create_runtime_class"
    }

    fn title(&self) -> &'static str {
        "Create RuntimeClasses crun and runc"
    }

    fn seen_whole(&self) -> bool {
        true
    }

    fn check(&self, cx: &Context) -> Result<Check> {
        let cluster = cx.cluster()?;
        let has = |kind: &str, name: &str| {
            cluster.object(kind, None, name).is_some_and(|item| kind != "RuntimeClass" || item["handler"] == name)
        };
        let mut missing = Vec::new();
        for (kind, name) in [("RuntimeClass", "crun"), ("RuntimeClass", "runc"), ("Namespace", "provision")] {
            if !has(kind, name) {
                missing.push(format!("{kind} {name}: new"));
            }
        }
        Ok(if missing.is_empty() { Check::Done } else { Check::Pending(missing) })
    }

    fn run(&self, cx: &Context, _: &Task) -> Result<()> {
        cx.kubectl.apply(MANIFEST)
    }
}
