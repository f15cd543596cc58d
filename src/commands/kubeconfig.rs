//! `provision kubeconfig`: so that `kubectl` on the host works.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::Session;
use crate::paths;
use crate::process::Cmd;
use crate::ssh::jump_words;

/// Print the lab's kubeconfig, its path, or merge it into your own.
#[derive(Debug, Args)]
pub struct Kubeconfig {
    /// Print the file's path instead
    #[arg(long, conflicts_with = "merge")]
    path: bool,
    /// Merge it into $KUBECONFIG, or else ~/.kube/config, and make it the current context
    #[arg(long)]
    merge: bool,
}

/// An example's port on this host.
const LOCAL: &str = "127.0.0.1:16443";

impl Kubeconfig {
    /// Prints or merges.
    pub fn run(&self, session: &Session) -> Result<()> {
        session.lab.must_have_cluster()?;
        let file = session.lab.kubeconfig();
        if let Some(jump) = session.api_jump() {
            let api = session.api_address();
            session.ui.note(&format!(
                "its API is behind {jump}: use `provision kubectl`, or keep this running: ssh -N -L {LOCAL}:{api} \
                 {}\n  and tell kubectl: --server=https://{LOCAL} --tls-server-name={}",
                jump_words(jump),
                api.ip()
            ));
        }
        if self.merge {
            return merge(session, &file);
        }
        let text = if self.path { format!("{}\n", file.display()) } else { paths::read(&file)? };
        std::io::stdout().write_all(text.as_bytes()).context("print the kubeconfig")
    }
}

fn merge(session: &Session, file: &std::path::Path) -> Result<()> {
    let own = own_kubeconfig()?;
    let made = session.made_with_kubectl()?;
    // kubectl knows best how two kubeconfigs become one; the first wins, so a
    // lab made anew replaces its old entries.
    let merged = Cmd::new(&made.kubectl)
        .args(["config", "view", "--flatten"])
        .env("KUBECONFIG", std::env::join_paths([file, &own]).context("join the kubeconfigs' paths")?)
        .read()?;
    paths::write_atomic(&own, format!("{merged}\n").as_bytes(), 0o600)?;
    session.ui.note(&format!("context `{}` is in {} and current", session.lab.name(), own.display()));
    Ok(())
}

fn own_kubeconfig() -> Result<PathBuf> {
    if let Some(paths) = std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()) {
        return std::env::split_paths(&paths).next().context("KUBECONFIG names no file");
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(PathBuf::from(home).join(".kube").join("config"))
}
