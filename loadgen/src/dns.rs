//! A cluster name to an address, by one UDP question per search domain.
//!
//! The generator is linked statically, and glibc's own look-up then needs the
//! very same glibc beside it at run time, which an image from scratch has not.
//! In a pod, `/etc/resolv.conf` names the cluster's server and search domains;
//! that is all a Service's name needs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How often a question is sent.
const TRIES: usize = 3;
/// How long each try waits for its answer.
const WAIT: Duration = Duration::from_secs(5);

/// The first IPv4 address of a name.
pub fn look_up(name: &str) -> Result<Ipv4Addr, String> {
    let text =
        std::fs::read_to_string("/etc/resolv.conf").map_err(|fault| format!("read /etc/resolv.conf: {fault}"))?;
    let server = server(&text).ok_or("no nameserver in /etc/resolv.conf")?;
    let server = SocketAddr::new(server, 53);
    for candidate in candidates(name, &text) {
        if let Some(address) = ask(server, &candidate)? {
            return Ok(address);
        }
    }
    Err(format!("the name server {server} does not know it"))
}

fn server(resolv_conf: &str) -> Option<IpAddr> {
    resolv_conf.lines().find_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok())
}

/// The name below each search domain, then as it is.
fn candidates(name: &str, resolv_conf: &str) -> Vec<String> {
    let search = resolv_conf.lines().filter_map(|line| line.strip_prefix("search")).next_back().unwrap_or_default();
    let mut names: Vec<String> = search.split_whitespace().map(|domain| format!("{name}.{domain}")).collect();
    names.push(name.to_owned());
    names
}

/// An address, or none if the server says that there is none.
fn ask(server: SocketAddr, name: &str) -> Result<Option<Ipv4Addr>, String> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let fault = |fault: std::io::Error| format!("ask {server}: {fault}");
    let socket = UdpSocket::bind(any.parse::<SocketAddr>().map_err(|fault| fault.to_string())?).map_err(fault)?;
    socket.connect(server).map_err(fault)?;
    // The kernel chose a random port and takes answers from the server alone;
    // inside a cluster that is enough to tell the answer.
    let question = question(std::process::id() as u16, name)?;
    let mut last = format!("{server} does not answer");
    for _ in 0..TRIES {
        if let Err(cause) = socket.send(&question) {
            last = fault(cause);
            std::thread::sleep(Duration::from_millis(200));
            continue;
        }
        let until = Instant::now() + WAIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left)).map_err(fault)?;
            let mut answer = [0; 1500];
            match socket.recv(&mut answer) {
                Ok(length) => {
                    if let Some(result) = read_answer(&question, &answer[..length]) {
                        return result;
                    }
                }
                Err(cause) => {
                    last = fault(cause);
                    break;
                }
            }
        }
    }
    Err(last)
}

/// One question for an A record, recursion wanted.
fn question(id: u16, name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
        bytes.push(length.ok_or_else(|| format!("{name:?} is no host name"))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    Ok(bytes)
}

/// What an answer to `question` says; none if it is no answer to it.
fn read_answer(question: &[u8], answer: &[u8]) -> Option<Result<Option<Ipv4Addr>, String>> {
    let is_answer = answer.get(..2)? == &question[..2] && answer.get(2)? & 0x80 != 0;
    if !is_answer {
        return None;
    }
    match answer.get(3)? & 0x0f {
        0 => {}
        3 => return Some(Ok(None)),
        code => return Some(Err(format!("the name server answers with error {code}"))),
    }
    let records = u16::from_be_bytes([*answer.get(6)?, *answer.get(7)?]);
    let mut at = question.len();
    for _ in 0..records {
        at = skip_name(answer, at)?;
        let head = answer.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
        let data = answer.get(at + 10..at + 10 + length)?;
        if let ([0, 1, 0, 1], [a, b, c, d]) = (&head[..4], data) {
            return Some(Ok(Some(Ipv4Addr::new(*a, *b, *c, *d))));
        }
        at += 10 + length;
    }
    Some(Ok(None))
}

fn skip_name(answer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *answer.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOLV_CONF: &str =
        "search default.svc.cluster.local svc.cluster.local\nnameserver 127.0.0.53\noptions ndots:5\n";

    #[test]
    fn a_pods_resolv_conf_is_understood() {
        assert_eq!(server(RESOLV_CONF).unwrap().to_string(), "127.0.0.53");
        assert_eq!(candidates("web", RESOLV_CONF), ["web.default.svc.cluster.local", "web.svc.cluster.local", "web"]);
        assert_eq!(candidates("web", ""), ["web"]);
    }

    /// A name server that knows `web.svc.cluster.local`, behind an alias.
    fn serve(questions: usize) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            for _ in 0..questions {
                let mut bytes = [0; 512];
                let (length, peer) = socket.recv_from(&mut bytes).unwrap();
                let mut answer = bytes[..length].to_vec();
                let known = answer[12..].starts_with(b"\x03web\x03svc\x07cluster\x05local\x00");
                answer[2..4].copy_from_slice(if known { &[0x81, 0x80] } else { &[0x81, 0x83] });
                if known {
                    answer[7] = 2;
                    answer.extend_from_slice(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x04\x01x\xc0\x10");
                    answer.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x60\x00\x07");
                }
                // What is no answer to the question must not be taken for one.
                socket.send_to(&[1, 2, 3], peer).unwrap();
                socket.send_to(&answer, peer).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_server_is_asked_and_believed() {
        let server = serve(2);
        assert_eq!(ask(server, "web.svc.cluster.local"), Ok(Some(Ipv4Addr::new(10, 96, 0, 7))));
        assert_eq!(ask(server, "web.default.svc.cluster.local"), Ok(None));
    }

    #[test]
    fn cut_answers_are_no_answers() {
        let question = question(7, "web").unwrap();
        let mut answer = question.clone();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[7] = 1;
        answer.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01");
        assert_eq!(read_answer(&question, &answer), Some(Ok(Some(Ipv4Addr::new(10, 0, 0, 1)))));
        for length in 0..answer.len() {
            assert_eq!(read_answer(&question, &answer[..length]), None, "{length}");
        }
    }
}
