//! Telling others how a night went: JSON to a URL, or to a program's standard
//! input.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::http::{Client, Uri};
use crate::interrupt;
use crate::process::Cmd;

/// How long to wait before each attempt.
const WAITS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(8)];
/// How long a hook may run.
const HOOK: Duration = Duration::from_secs(600);

/// The variable that holds the URL to post to. Its path is often a secret: so
/// neither an argument, which all can see, nor a line of the profile.
const ADDRESS: &str = "PROVISION_POST";

/// Where verdicts are posted to, if anywhere.
pub struct Address {
    url: String,
    /// Scheme and host: all that is ever told of it.
    host: String,
}

impl Address {
    /// What `PROVISION_POST` says.
    pub fn of_environment() -> Result<Option<Self>> {
        let url = std::env::var(ADDRESS).unwrap_or_default();
        if url.is_empty() { Ok(None) } else { Self::parse(url).map(Some) }
    }

    fn parse(url: String) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{ADDRESS} is no URL"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        ensure!(matches!(scheme, "http" | "https"), "{ADDRESS} begins with `{scheme}:`; allowed: http and https");
        let host = format!("{scheme}://{}", uri.host().with_context(|| format!("{ADDRESS} has no host"))?);
        Ok(Self { url, host })
    }
}

/// Posts `json`, thrice if need be.
pub fn post(client: &Client, address: &Address, json: &str) -> Result<()> {
    let Address { url, host } = address;
    let mut last = String::new();
    for wait in WAITS {
        interrupt::check()?;
        std::thread::sleep(wait);
        match client.post(url, json) {
            Ok(200..300) => return Ok(()),
            Ok(status) => last = format!("it answers {status}"),
            Err(trouble) => last = trouble.to_string().replace(url.as_str(), "…"),
        }
    }
    bail!("post the verdict to {host}: {last}")
}

/// Runs `command` (a program and its arguments, quoted as in a shell; no shell
/// reads it) with `json` on its standard input and `word` in PROVISION_VERDICT.
pub fn hook(command: &str, word: &str, json: &str, log: &Path) -> Result<()> {
    let words = shell_words::split(command).with_context(|| format!("read the hook `{command}`"))?;
    let Some((program, arguments)) = words.split_first() else { bail!("the hook is empty") };
    Cmd::new(program)
        .args(arguments)
        .env("PROVISION_VERDICT", word)
        // A line each, for those who collect them.
        .stdin(format!("{json}\n"))
        .timeout(HOOK)
        .run_logged(log, |_| {})
        .context("run the hook")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::http::Patience;
    use crate::outside::Outside;

    /// A server of one request each; answers in turn and returns what it was sent.
    fn server(answers: Vec<&'static str>) -> (Address, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut got = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push_str(&line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
                got.push(format!("{head}{}", String::from_utf8(body).unwrap()));
            }
            got
        });
        (Address::parse(url).unwrap(), thread)
    }

    fn client() -> Client {
        Client::new(&Outside::default(), Patience::default()).unwrap()
    }

    #[test]
    fn json_is_posted_and_tried_again() {
        let (address, thread) = server(vec!["503 Busy", "204 No Content"]);
        post(&client(), &address, "{\"word\":\"same\"}").unwrap();
        let got = thread.join().unwrap();
        assert!(got[1].starts_with("POST /hook?token=secret HTTP/1.1"), "{}", got[1]);
        assert!(got[1].to_lowercase().contains("content-type: application/json"), "{}", got[1]);
        assert!(got[1].ends_with("{\"word\":\"same\"}"), "{}", got[1]);
    }

    #[test]
    fn errors_do_not_tell_the_path_of_the_url() {
        let parsed = |url: &str| Address::parse(url.into());
        for bad in ["ftp://example.org/secret", "https:///secret", "not a URL: secret"] {
            let error = format!("{:#}", parsed(bad).err().unwrap());
            assert!(error.contains("PROVISION_POST") && !error.contains("secret"), "{error}");
        }
        let error = format!("{:#}", post(&client(), &parsed("http://127.0.0.1:1/secret").unwrap(), "{}").unwrap_err());
        assert!(error.contains("http://127.0.0.1") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_hook_gets_the_document_and_no_shell_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("hook.log");
        hook("sh -c 'cat; echo \" $PROVISION_VERDICT $0\"' '$(id)'", "slower", "{}", &log).unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(said.contains("{}\n slower $(id)"), "{said}");
        assert!(hook("false", "same", "{}", &log).is_err());
        assert!(format!("{:#}", hook("'", "same", "{}", &log).unwrap_err()).contains("read the hook"));
    }
}
