//! Web servers, asked by `ureq`; the only file that knows it. It asks every proxy
//! by CONNECT, for `http://` addresses too.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
pub use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Proxy};

use crate::outside::{self, Outside};
use crate::{paths, secrets};

/// How patient a client is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer.
    pub answer: Duration,
    /// Between two pieces of an answer.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), answer: Duration::from_secs(30), stall: Duration::from_secs(20) }
    }
}

/// Asks web servers, through the proxies and with the authorities it was made with.
pub struct Client {
    plain: Agent,
    secure: Agent,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Asking again may help: a connection broke, a server is busy.
    #[error("{0}")]
    Passing(String),
    /// More was asked for than there is (416).
    #[error("{0}")]
    Beyond(String),
    /// Asking again is of no use.
    #[error("{0}")]
    Lasting(String),
}

/// An answer, its body still to be read.
pub struct Answer {
    /// 200, or 206 where the rest of a file was asked for and is given.
    pub status: u16,
    /// Bytes of the body, where the server says so.
    pub length: Option<u64>,
    /// The body.
    pub body: Box<dyn Read>,
}

impl Client {
    /// A client that reaches the outside in this way.
    pub fn new(outside: &Outside, patience: Patience) -> Result<Self> {
        let roots = roots(outside)?;
        let agent = |proxy: &str| -> Result<Agent> {
            let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots.clone()).build();
            let config = Agent::config_builder()
                .user_agent(concat!("provision/", env!("CARGO_PKG_VERSION")))
                .http_status_as_error(false)
                .timeout_connect(Some(patience.connect))
                .timeout_recv_response(Some(patience.answer))
                .timeout_per_read(Some(patience.stall))
                .proxy(proxy_of(proxy, outside)?)
                .tls_config(tls);
            Ok(config.build().new_agent())
        };
        Ok(Self { plain: agent(&outside.http_proxy)?, secure: agent(&outside.https_proxy)? })
    }

    fn agent(&self, url: &str) -> &Agent {
        if url.starts_with("https:") { &self.secure } else { &self.plain }
    }

    /// Sends `json` to `url`; the status that is answered, whatever it is.
    pub fn post(&self, url: &str, json: &str) -> Result<u16, Trouble> {
        // A redirection would turn a POST into a GET.
        let request = self.agent(url).post(url).config().max_redirects(0).build();
        let answer = request.content_type("application/json").send(json).map_err(|error| trouble(url, &error))?;
        Ok(answer.status().as_u16())
    }

    /// Asks for `url`, from byte `from` on.
    ///
    /// # Errors
    /// [`Trouble`]: no answer, or one with another status than 200 and 206.
    pub fn get(&self, url: &str, from: u64, accept: &str) -> Result<Answer, Trouble> {
        let mut request = self.agent(url).get(url).header("Accept", accept);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let answer = request.call().map_err(|error| trouble(url, &error))?;
        let status = answer.status().as_u16();
        match status {
            200 | 206 => {
                let length = answer.headers().get("content-length");
                let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
                Ok(Answer { status, length, body: Box::new(answer.into_body().into_reader()) })
            }
            416 => Err(Trouble::Beyond(format!("{url} answers with status {status}"))),
            408 | 425 | 429 | 500..=599 => Err(Trouble::Passing(format!("{url} answers with status {status}"))),
            _ => Err(Trouble::Lasting(format!("{url} answers with status {status}"))),
        }
    }

    /// Reads a small text (at most a MiB).
    pub fn text(&self, url: &str, accept: &str) -> Result<String, Trouble> {
        let mut text = String::new();
        let read = self.get(url, 0, accept)?.body.take(1 << 20).read_to_string(&mut text);
        read.map_err(|error| Trouble::Passing(format!("{url}: {error}")))?;
        Ok(text)
    }
}

fn trouble(url: &str, error: &ureq::Error) -> Trouble {
    let text = format!("{url}: {error}");
    match error {
        ureq::Error::BadUri(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Pem(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::TooManyRedirects
        | ureq::Error::RedirectFailed => Trouble::Lasting(text),
        // A connection may also break while it is being made.
        ureq::Error::NativeTls(_) if text.contains("certificate") => Trouble::Lasting(text),
        _ => Trouble::Passing(text),
    }
}

fn proxy_of(proxy: &str, outside: &Outside) -> Result<Option<Proxy>> {
    if proxy.is_empty() {
        return Ok(None);
    }
    ensure!(
        !proxy.starts_with("socks"),
        "{} is a SOCKS proxy, which our own downloads do not speak; builds and nodes do",
        secrets::redact(proxy)
    );
    let plain = Proxy::new(proxy).with_context(|| format!("read the proxy {}", secrets::redact(proxy)))?;
    let mut builder = Proxy::builder(plain.protocol()).host(plain.host()).port(plain.port());
    if let Some(name) = plain.username() {
        builder = builder.username(name);
    }
    if let Some(password) = plain.password() {
        builder = builder.password(password);
    }
    for host in outside.direct_hosts() {
        // As curl and Go take it: a name stands for the names below it too.
        builder = builder.no_proxy(host).no_proxy(&format!(".{}", host.trim_start_matches(['*', '.'])));
    }
    Ok(Some(builder.build().with_context(|| format!("read the proxy {}", secrets::redact(proxy)))?))
}

/// What the TLS library trusts by itself, or the host's authorities and the user's own.
fn roots(outside: &Outside) -> Result<RootCerts> {
    if outside.authorities.is_empty() {
        return Ok(RootCerts::PlatformVerifier);
    }
    let host = outside::trusted_authorities().map(|path| paths::read(&path)).transpose()?.unwrap_or_default();
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for text in [&host, &outside.authorities] {
        for item in ureq::tls::parse_pem(text.as_bytes()) {
            if let PemItem::Certificate(certificate) = item.context("read the certificates of network.ca")? {
                certificates.push(certificate);
            }
        }
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
