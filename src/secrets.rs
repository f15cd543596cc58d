//! Secrets taken out of text before it is kept or given away: what looks like
//! one, and what is known to be one.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands where a secret stood.
pub const MARK: &str = "[removed]";

/// Fields by name, with their values: `password: x`, `token=x`, `"secret": "x"`.
/// The value ends with its quote, else with the line (`:`) or the word (`=`).
const FIELDS: &str = concat!(
    r#"(?i)(?P<name>\b[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|"#,
    r#"certificate[_-]key|client[_-]key[_-]data|certificate[_-]data|certificate-authority-data|credentials?|authorization)"#,
    r#"\\?["']?\s?)"#,
    // Quotes may be escaped: JSON within JSON.
    r#"(?:(?P<colon>:[ \t]*)(?:\[removed\]|\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|[^\n"'{\[,\\][^\n]*)|"#,
    r#"(?P<equal>=[ \t]*)(?:\[removed\]|\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'&\\]+))"#,
);
/// Options with their values: `--token x`, `--certificate-key=x`.
const OPTIONS: &str = r"(?i)(?P<name>(?:^|[^\w-])--?(?:[\w-]*token|[\w-]*password|[\w-]*secret|certificate-key|user|proxy-user)[ =]+)[^\s]+";

/// Each pattern with what takes its place.
static PATTERNS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // A PEM block, to its end or, where that was cut off, to the end of all.
        (r"(?s)-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)[A-Z0-9 ]*-----(?:.*?-----END [A-Z0-9 ]+-----|.*)", MARK),
        // The end of one whose beginning was cut off, with the lines before it.
        (r"(?:[A-Za-z0-9+/=]{40,}\s+)*(?:[A-Za-z0-9+/=]+\s+)?-----END [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)[A-Z0-9 ]*-----", MARK),
        // The same in base64, as in a kubeconfig: "-----BEGIN".
        (r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]*", MARK),
        // User and password of a URL.
        (r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?:[^/\s@]+|[^/\s:@]+:[^\s@]*)@", "${scheme}[removed]@"),
        (FIELDS, ""),
        (OPTIONS, "${name}[removed]"),
        (r"(?i)\b(?P<kind>bearer|basic)[ \t]+[A-Za-z0-9+/=._~-]{8,}", "${kind} [removed]"),
        // A JSON Web Token, as service accounts have.
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?", MARK),
        // kubeadm's bootstrap tokens.
        (r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", MARK),
        (r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16})", MARK),
    ]
    .into_iter()
    // The patterns are constants: a test compiles each.
    .filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with)))
    .collect()
});

/// Words that every secret of any of the patterns comes with, one each: texts
/// without them, which most are, are not searched any further.
static HINT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)-----(?:BEGIN|END)|LS0tLS1CRUdJTi|://[^\s]*@|passw|passphrase|secret|token|key|certificate|credential|",
        r"authorization|bearer|basic|-user|eyJ|\b[a-z0-9]{6}\.[a-z0-9]{16}\b|gh[pousr]_|github_pat|glpat-|xox[abprs]-|AKIA"
    ))
    .ok()
});

/// `text` without what looks like a secret.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    if HINT.as_ref().is_some_and(|hint| !hint.is_match(text)) {
        return Cow::Borrowed(text);
    }
    let mut clean = Cow::Borrowed(text);
    for (pattern, with) in PATTERNS.iter() {
        let replaced = if with.is_empty() {
            pattern.replace_all(&clean, |found: &Captures| field(found))
        } else {
            pattern.replace_all(&clean, *with)
        };
        if let Cow::Owned(replaced) = replaced {
            clean = Cow::Owned(replaced);
        }
    }
    clean
}

/// Takes secrets out of a text that comes line by line: a PEM block is one over
/// many of them.
#[derive(Default)]
pub struct Lines {
    /// How many lines may still belong to the block that has begun.
    inside: usize,
}

impl Lines {
    /// No key is longer; what only mentions one must not hide all that follows.
    const LONGEST: usize = 120;

    /// The next line without what looks like a secret.
    pub fn redact<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        let key = |mark: &str| {
            line.find(mark).filter(|at| ["PRIVATE KEY", "CERTIFICATE"].iter().any(|what| line[*at..].contains(what)))
        };
        let (begin, end) = (key("-----BEGIN "), key("-----END "));
        let before = self.inside;
        self.inside = match (begin, end) {
            (Some(begin), Some(end)) if begin < end => 0,
            (Some(_), _) => Self::LONGEST,
            (None, Some(_)) => 0,
            (None, None) => before.saturating_sub(1),
        };
        if before == 0 {
            return redact(line);
        }
        let rest = end.and_then(|at| line[at + 5..].split_once("-----")).map_or("\n", |(_, rest)| rest);
        Cow::Owned(format!("{MARK}{}", redact(rest)))
    }
}

fn field(found: &Captures) -> String {
    let part = |name| found.name(name).map_or("", |part| part.as_str());
    format!("{}{}{}{MARK}", part("name"), part("colon"), part("equal"))
}

/// Secrets known by their value: a key's lines, a proxy's password.
#[derive(Default)]
pub struct Known(Vec<String>);

impl Known {
    /// A value shorter than this is no secret worth the harm of removing it
    /// wherever it occurs.
    const SHORTEST: usize = 4;

    /// Remembers `value`.
    pub fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.len() >= Self::SHORTEST && !self.0.iter().any(|known| known == value) {
            self.0.push(value.to_owned());
            // The longest first, so that none is left behind in part.
            self.0.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// Remembers what the environment holds: passwords of proxies, and values
    /// of variables that are named like secrets.
    pub fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, value) in variables {
            let name = name.to_ascii_uppercase();
            if let Some((before, _)) = value.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')) {
                let (user, password) = before.split_once(':').unwrap_or((before, ""));
                for part in [before, password, if password.is_empty() { user } else { "" }] {
                    self.add(part);
                    self.add(&percent_encoding::percent_decode_str(part).decode_utf8_lossy());
                }
            }
            let secret = [
                "TOKEN",
                "PASSWORD",
                "PASSWD",
                "SECRET",
                "CREDENTIAL",
                "PASSPHRASE",
                "API_KEY",
                "APIKEY",
                "ACCESS_KEY",
                "PRIVATE_KEY",
            ];
            if secret.iter().any(|word| name.contains(word)) {
                self.add(&value);
            }
        }
    }

    /// Remembers each long line of a private key or certificate, and each long
    /// word of a kubeconfig.
    pub fn add_file(&mut self, text: &str) {
        text.split_whitespace().filter(|word| word.len() >= 32).for_each(|word| self.add(word));
    }

    /// JSON, a document or one a line, without secrets in any of its strings:
    /// what is escaped there is read as it is meant. Lines between that are no
    /// JSON are taken as text.
    #[must_use]
    pub fn redact_json(&self, text: &str) -> String {
        if let Ok(mut value) = serde_json::from_str::<Value>(text) {
            self.clean(&mut value);
            return format!("{value:#}\n");
        }
        let (mut clean, mut plain) = (String::new(), String::new());
        for line in text.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(mut value) => {
                    clean.push_str(&self.redact(&std::mem::take(&mut plain)));
                    self.clean(&mut value);
                    clean.push_str(&format!("{value}\n"));
                }
                Err(_) => plain.push_str(&format!("{line}\n")),
            }
        }
        clean + &self.redact(&plain)
    }

    fn clean(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redact(text),
            Value::Array(list) => list.iter_mut().for_each(|value| self.clean(value)),
            Value::Object(map) => {
                for (name, value) in map {
                    if value.is_string() && redact(&format!("{name}: x")).contains(MARK) {
                        *value = MARK.into();
                    } else {
                        self.clean(value);
                    }
                }
            }
            _ => {}
        }
    }

    /// `text` without the known secrets and without what looks like one.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut clean = redact(text).into_owned();
        for secret in &self.0 {
            if clean.contains(secret.as_str()) {
                clean = clean.replace(secret.as_str(), MARK);
            }
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), 10);
        assert!(HINT.is_some());
    }

    #[test]
    fn what_looks_like_a_secret_goes_and_the_rest_stays() {
        for (text, clean) in [
            (
                "kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef \\",
                "kubeadm join 10.0.0.1:6443 --token [removed] \\",
            ),
            ("using abcdef.0123456789abcdef here", "using [removed] here"),
            ("http_proxy=http://ann:s3cr3t@proxy:3128/", "http_proxy=http://[removed]@proxy:3128/"),
            ("via http://ann:pa/ss@proxy:3128", "via http://[removed]@proxy:3128"),
            ("  client-key-data: LS0tLS1CRUdJTiBFQyBQ==\n  user: x", "  client-key-data: [removed]\n  user: x"),
            (r#"{"password": "a \" b", "other": 1}"#, r#"{"password": [removed], "other": 1}"#),
            (r#"{\"password\": \"a b\", \"x\": 1}"#, r#"{\"password\": [removed], \"x\": 1}"#),
            ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=[removed] next"),
            ("api-key: 'x y' # z", "api-key: [removed] # z"),
            ("Authorization: Bearer abcdefgh12345\nHost: x", "Authorization: [removed]\nHost: x"),
            ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", "a [removed] b"),
            ("a -----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb", "a [removed]"),
            (
                "MIIEpAIBAAKCAQEA0123456789abcdefghijklmnopqrstuvwxyzABCD\nMIIE==\n-----END RSA PRIVATE KEY----- b",
                "[removed] b",
            ),
            ("t eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrIn0.c2ln e", "t [removed] e"),
            ("ghp_0123456789abcdefghij0123456789abcdef", "[removed]"),
        ] {
            assert_eq!(redact(text), clean, "{text}");
        }
    }

    #[test]
    fn a_key_that_comes_line_by_line_goes_whole() {
        let mut lines = Lines::default();
        let text = "a\nx -----BEGIN RSA PRIVATE KEY-----\nMIIE\nshort\n-----END RSA PRIVATE KEY----- b\nc\n";
        let clean: String = text.split_inclusive('\n').map(|line| lines.redact(line).into_owned()).collect();
        assert_eq!(clean, "a\nx [removed][removed]\n[removed]\n[removed] b\nc\n");
        lines.redact("it wants -----BEGIN CERTIFICATE-----\n");
        assert_eq!((0..Lines::LONGEST).filter(|_| lines.redact("said\n") == "said\n").count(), 0);
        assert_eq!(lines.redact("said\n"), "said\n", "a mention alone does not hide all that follows");
    }

    #[test]
    fn what_only_sounds_like_one_stays() {
        for text in [
            "token-cleaner-controller,bootstrap-signer-controller",
            "--discovery-token-ca-cert-hash sha256:0011",
            "qemu:///system",
            "https://host.invalid/@scope/x",
            "log in to node1 as root with key /x/id_ed25519",
            "-----BEGIN PUBLIC KEY-----",
            "secretName: x-tls",
            "box.img 1.0.0",
            "Reached target multi-user.target - Multi-User System.",
        ] {
            let clean = redact(text);
            assert_eq!(clean, text);
        }
    }

    #[test]
    fn json_is_read_as_it_is_meant() {
        let line = r#"{"text":"a\ntoken: b\nc","password":"d","list":[{"x":"y"}],"n":1}"#;
        let clean = r#"{"text":"a\ntoken: [removed]\nc","password":"[removed]","list":[{"x":"y"}],"n":1}"#;
        let clean: Value = serde_json::from_str(clean).unwrap();
        let text = Known::default().redact_json(&format!("{line}\nnoise token=z\n{line}\n"));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(serde_json::from_str::<Value>(lines[0]).unwrap(), clean);
        assert_eq!(serde_json::from_str::<Value>(lines[2]).unwrap(), clean);
        assert_eq!(lines[1], "noise token=[removed]");
        assert_eq!(serde_json::from_str::<Value>(&Known::default().redact_json(line)).unwrap(), clean);
    }

    #[test]
    fn known_values_go_wherever_they_are() {
        let mut known = Known::default();
        let environment =
            [("https_proxy", "http://ann:p%40ss@proxy:1"), ("MY_TOKEN", "opensesame"), ("no_proxy", "localhost")];
        known.add_environment(environment.into_iter().map(|(name, value)| (name.into(), value.into())));
        assert_eq!(known.redact("p%40ss p@ss opensesame localhost"), "[removed] [removed] [removed] localhost");
    }
}
