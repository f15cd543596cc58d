//! A bootstrap token for nodes that join: made for one join, known to no log
//! and no process list, and taken back when they have joined.

use std::fmt::Write as _;
use std::io::Read;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::kubectl::Kubectl;

/// How long it is good for if nobody takes it back; an emulated node joins in
/// a minute or two.
const LIFE: Duration = Duration::from_secs(30 * 60);

/// A token that the cluster knows, as long as this is alive.
pub struct JoinToken<'a> {
    kubectl: &'a Kubectl,
    id: String,
    secret: String,
}

impl<'a> JoinToken<'a> {
    /// Makes the token known to the cluster.
    pub fn make(kubectl: &'a Kubectl) -> Result<Self> {
        let token = Self { kubectl, id: random(6)?, secret: random(16)? };
        let expires =
            jiff::Timestamp::now() + jiff::SignedDuration::try_from(LIFE).context("count the token's life")?;
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "bootstrap.kubernetes.io/token",
            "metadata": {"namespace": "kube-system", "name": token.name()},
            "stringData": {
                "token-id": token.id,
                "token-secret": token.secret,
                "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                "usage-bootstrap-authentication": "true",
                "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
                "description": "provision: nodes that join",
            },
        });
        kubectl.create(&manifest.to_string()).context("make a token for the nodes that join")?;
        Ok(token)
    }

    fn name(&self) -> String {
        format!("bootstrap-token-{}", self.id)
    }

    /// The administrator's `kubeconfig` with this token in the administrator's
    /// place: where the cluster is, its CA, and the right to ask for a node's
    /// certificate.
    pub fn kubeconfig(&self, kubeconfig: &str) -> Result<String> {
        let field = |name: &str| {
            let mut lines = kubeconfig.lines().map(str::trim);
            lines
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
                .with_context(|| format!("the kubeconfig has no {name}"))
        };
        let mut text = String::from("apiVersion: v1\nkind: Config\ncurrent-context: join\n");
        write!(
            text,
            "clusters:\n- name: join\n  cluster:\n    server: {}\n    certificate-authority-data: {}\n\
             contexts:\n- name: join\n  context: {{cluster: join, user: join}}\n\
             users:\n- name: join\n  user:\n    token: {}.{}\n",
            field("server:")?,
            field("certificate-authority-data:")?,
            self.id,
            self.secret
        )?;
        Ok(text)
    }
}

impl Drop for JoinToken<'_> {
    fn drop(&mut self) {
        // If it cannot be taken back (Ctrl-C, API gone), it ends by itself.
        let asked = ["delete", "secret", "--namespace", "kube-system", &self.name(), "--ignore-not-found"];
        self.kubectl.read(&asked).map(drop).unwrap_or_default();
    }
}

/// Text for a line of a script's standard input.
pub fn as_line(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Letters and digits from the kernel's random source.
fn random(length: usize) -> Result<String> {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut source = std::fs::File::open("/dev/urandom").context("open /dev/urandom")?;
    // 252 is the largest multiple of 36 in a byte: what is above would favour some letters.
    let mut text = String::new();
    while text.len() < length {
        let mut bytes = [0; 32];
        source.read_exact(&mut bytes).context("read /dev/urandom")?;
        let good = bytes.iter().filter(|byte| **byte < 252).map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()]);
        text.extend(good.map(char::from).take(length - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_joining_node_gets_the_cluster_and_the_token_and_nothing_of_the_administrator() {
        let kubectl = Kubectl::new(PathBuf::from("/nonexistent"), PathBuf::from("/nonexistent"));
        let token = JoinToken { kubectl: &kubectl, id: "abcdef".into(), secret: "0123456789abcdef".into() };
        let admin = "clusters:\n- cluster:\n    certificate-authority-data: Q0E=\n    server: https://192.0.2.1:6443\n  name: lab\n\
                     users:\n- name: lab-admin\n  user:\n    client-certificate-data: QQ==\n    client-key-data: Qg==\n";
        insta::assert_snapshot!(token.kubeconfig(admin).unwrap(), @r"
        apiVersion: v1
        kind: Config
        current-context: join
        clusters:
        - name: join
          cluster:
            server: https://192.0.2.1:6443
            certificate-authority-data: Q0E=
        contexts:
        - name: join
          context: {cluster: join, user: join}
        users:
        - name: join
          user:
            token: abcdef.0123456789abcdef
        ");
        assert!(token.kubeconfig("clusters: []").is_err());
    }

    #[test]
    fn tokens_are_of_kubeadms_form_and_differ() {
        let (one, other) = (random(16).unwrap(), random(16).unwrap());
        assert_eq!(one.len(), 16);
        assert!(one.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{one}");
        assert_ne!(one, other);
    }
}
