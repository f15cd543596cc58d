//! The servers: programs of Debian, ended with the test, and one of our own
//! that misbehaves as told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use provision::artifacts::digest;
use provision::process::Cmd;

/// How a file is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Whole, and parts of it if asked for.
    Well,
    /// The connection breaks after so many bytes, each time.
    Dies(usize),
    /// As [`Manner::Dies`], and always from the beginning.
    DiesWithoutRanges(usize),
    /// After half of it nothing comes, the connection stays.
    Stalls,
    /// A byte now and then.
    Trickles,
    /// "Come back later", so often; then well.
    Busy(usize),
}

struct File {
    content: Vec<u8>,
    manner: Manner,
    asked: AtomicUsize,
}

/// A file server that misbehaves as told.
pub struct Files {
    pub url: String,
    files: Arc<Mutex<BTreeMap<String, Arc<File>>>>,
    at_once: Arc<AtomicUsize>,
    pub most_at_once: Arc<AtomicUsize>,
}

impl Files {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let files = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            files: Arc::default(),
            at_once: Arc::default(),
            most_at_once: Arc::default(),
        };
        let (known, now, most) =
            (Arc::clone(&files.files), Arc::clone(&files.at_once), Arc::clone(&files.most_at_once));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (known, now, most) = (Arc::clone(&known), Arc::clone(&now), Arc::clone(&most));
                std::thread::spawn(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    serve(stream, &known).ok();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        files
    }

    /// Puts a file there; returns its hex SHA-256.
    pub fn put(&self, path: &str, content: &[u8], manner: Manner) -> String {
        let file = File { content: content.to_vec(), manner, asked: AtomicUsize::new(0) };
        self.files.lock().unwrap().insert(path.to_owned(), Arc::new(file));
        digest::of_bytes(content)
    }

    /// How often it was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.files.lock().unwrap()[path].asked.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, files: &Mutex<BTreeMap<String, Arc<File>>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut from = 0;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap_or(0);
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let mut stream = stream;
    let Some(file) = files.lock().unwrap().get(&path).map(Arc::clone) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let times = file.asked.fetch_add(1, Ordering::SeqCst);
    if matches!(file.manner, Manner::Busy(often) if times < often) {
        return stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let all = file.content.as_slice();
    if from > 0 && from >= all.len() {
        return stream.write_all(b"HTTP/1.1 416 Beyond\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let from = if matches!(file.manner, Manner::DiesWithoutRanges(_)) { 0 } else { from };
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let rest = &all[from..];
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
    match file.manner {
        Manner::Well | Manner::Busy(_) => stream.write_all(rest),
        Manner::Dies(after) | Manner::DiesWithoutRanges(after) => stream.write_all(&rest[..after.min(rest.len())]),
        Manner::Stalls => {
            stream.write_all(&rest[..rest.len() / 2])?;
            std::thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Manner::Trickles => rest.iter().try_for_each(|byte| {
            std::thread::sleep(Duration::from_millis(50));
            stream.write_all(&[*byte])
        }),
    }
}

/// A program that serves until it is dropped.
pub struct Server(nix::unistd::Pid);

impl Server {
    /// Starts it and waits until `port` accepts a connection.
    pub fn start(command: &str, log: &Path, port: u16) -> Self {
        // The shell says its own id, then becomes the program.
        let pid = log.with_extension("pid");
        let line = format!("echo $$ >{}; exec {command} >{} 2>&1", pid.display(), log.display());
        std::thread::spawn(move || {
            // It ends by a signal, which is no success.
            Cmd::new("sh").args(["-c", &line]).timeout(Duration::from_secs(120)).output().ok();
        });
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || std::fs::read_to_string(log).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(20), "{command} does not answer: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        Self(nix::unistd::Pid::from_raw(pid))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGKILL).ok();
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Debian's docker-registry, its storage in `dir`.
pub struct Registry {
    pub url: String,
    pub storage: PathBuf,
    _server: Server,
}

impl Registry {
    pub fn start(dir: &Path) -> Self {
        let port = free_port();
        let (config, storage) = (dir.join("registry.yml"), dir.join("registry"));
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let command = format!("docker-registry serve {}", config.display());
        let server = Server::start(&command, &dir.join("registry.log"), port);
        Self { url: format!("http://127.0.0.1:{port}"), storage, _server: server }
    }

    /// Pushes a blob; returns its hex SHA-256.
    pub fn push_blob(&self, repository: &str, content: &[u8]) -> String {
        let sha256 = digest::of_bytes(content);
        let head = self.curl(&["-X", "POST", "-D", "-", &format!("{}/v2/{repository}/blobs/uploads/", self.url)], b"");
        let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim().to_owned();
        let to = format!("{location}&digest=sha256:{sha256}");
        let kind = "Content-Type: application/octet-stream";
        self.curl(&["-X", "PUT", "-H", kind, "--data-binary", "@-", &to], content);
        sha256
    }

    /// Pushes a manifest or an index under a tag or a digest; returns its digest.
    pub fn push_manifest(&self, repository: &str, reference: &str, kind: &str, text: &str) -> String {
        let to = format!("{}/v2/{repository}/manifests/{reference}", self.url);
        self.curl(&["-X", "PUT", "-H", &format!("Content-Type: {kind}"), "--data-binary", "@-", &to], text.as_bytes());
        format!("sha256:{}", digest::of_bytes(text.as_bytes()))
    }

    fn curl(&self, args: &[&str], content: &[u8]) -> String {
        Cmd::new("curl").args(["--silent", "--show-error", "--fail"]).args(args).stdin(content).read().unwrap()
    }
}
