//! One container on this host, and the generator beside it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Pinning;
use crate::bench::loadgen;
use crate::bench::place::{Ask, Server, Shape, Taken, procfs};
use crate::bench::run::Start;
use crate::process::{Cmd, Running};
use crate::proof::Evidence;

/// How long a server may take to listen; an interpreter on a busy machine takes a second.
const LISTEN: Duration = Duration::from_secs(60);
/// What the generator may take beside its load.
const AROUND: Duration = Duration::from_secs(120);
/// Those between us and the server.
const BETWEEN: &[&str] = &["unshare", "taskset", "bash", "chroot", "crun", "runc", "runc:[2:INIT]", "runc:[1:CHILD]"];

/// A container that serves.
pub struct LocalServer<'a> {
    child: Running,
    pid: u32,
    address: String,
    start: Start,
    generator: &'a Path,
    pinning: &'a Pinning,
    /// What the container was told, as the evidence repeats it.
    variant: String,
    runtime: String,
}

/// What a server is told by the one who starts it.
pub struct Told {
    /// Annotation `module.wasm.image/variant`; empty if absent.
    pub variant: String,
    /// The low-level runtime.
    pub runtime: String,
}

impl<'a> LocalServer<'a> {
    /// Starts `command`, which prints `calling …` when it calls the runtime
    /// and, by the server, `… listening on ADDRESS`.
    pub fn start(command: &Cmd, told: Told, generator: &'a Path, pinning: &'a Pinning) -> Result<Self> {
        let mut child = command.start()?;
        let begun = Instant::now();
        let called = if told.runtime.is_empty() {
            begun
        } else {
            child.wait_line(LISTEN, |line| line.strip_prefix("calling ").map(drop))?.0
        };
        let (listening, address) =
            child.wait_line(LISTEN, |line| line.split_once("listening on ").map(|(_, address)| address.to_owned()))?;
        let mut server = Self {
            pid: child.pid(),
            child,
            address,
            start: Start::default(),
            generator,
            pinning,
            variant: told.variant,
            runtime: told.runtime,
        };
        let answered = server.first_answer()?;
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1000.0;
        server.start = Start {
            scheduling_ms: None,
            sandbox_ms: None,
            container_ms: ms(called, listening),
            first_byte_ms: ms(listening, answered),
            total_ms: ms(called, answered),
        };
        server.pid = procfs::descendant(server.child.pid(), BETWEEN)?
            .with_context(|| format!("the server at {} has no process", server.address))?;
        Ok(server)
    }

    /// Asks `/` until it answers with 200, over a plain socket: a generator's
    /// own start would be measured with it.
    fn first_answer(&mut self) -> Result<Instant> {
        use std::io::{Read, Write};
        let deadline = Instant::now() + LISTEN;
        loop {
            let asked = std::net::TcpStream::connect(&self.address).and_then(|mut stream| {
                stream.set_read_timeout(Some(LISTEN))?;
                stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
                let mut head = [0; 12];
                stream.read_exact(&mut head)?;
                Ok((Instant::now(), head))
            });
            match asked {
                Ok((at, head)) if head.ends_with(b" 200") => return Ok(at),
                Ok((_, head)) => bail!("{} answers `{}`", self.address, String::from_utf8_lossy(&head)),
                Err(_) if Instant::now() < deadline && !self.child.ended()? => {}
                Err(error) => return Err(self.child.failed(&format!("does not answer: {error}"))),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn load(&self, ask: &Ask, shape: Shape) -> Result<loadgen::Report> {
        let mut command =
            self.pinning.generator(self.generator).arg(format!("--url=http://{}{}", self.address, ask.path));
        command = command.arg(format!("--expect={}", ask.expect));
        if ask.keep_alive {
            command = command.arg("--keep-alive");
        }
        let (more, seconds) = match shape {
            Shape::Count(requests) => (vec![format!("--requests={requests}"), "--users=1".into()], 60.0),
            Shape::Closed { users, seconds } => {
                (vec![format!("--users={users}"), format!("--seconds={seconds}")], seconds)
            }
            Shape::Open { rate, connections, seconds, seed } => (
                vec![
                    format!("--rate={rate}"),
                    format!("--users={connections}"),
                    format!("--seconds={seconds}"),
                    format!("--seed={seed}"),
                ],
                seconds,
            ),
        };
        let command = command.args(more).timeout(AROUND + Duration::from_secs_f64(seconds));
        let ended = command.output()?;
        // Where not one request succeeded it exits with 1, and its document says why.
        match loadgen::read(&ended.stdout) {
            Ok(report) => Ok(report),
            Err(error) if ended.status.success() => Err(error),
            Err(_) => bail!("`{}` failed: {}", command.to_line(), ended.stderr.trim()),
        }
    }

    fn take(&self, ask: &Ask) -> Result<Taken> {
        if let (true, Some(shape)) = (ask.warmup_seconds > 0.0, warm(ask)) {
            self.load(ask, shape)?;
        }
        // The warm-up is a run of its own, so that CPU times are of what counts.
        let (stolen, all) = procfs::stolen()?;
        let before = procfs::cpu_ns(self.pid)?;
        let began = Instant::now();
        let report = self.load(ask, ask.shape)?;
        let seconds = began.elapsed().as_secs_f64();
        let cpu_ns = procfs::cpu_ns(self.pid)?.saturating_sub(before);
        let (stolen_now, all_now) = procfs::stolen()?;
        let ticks = all_now.saturating_sub(all).max(1);
        Ok(Taken {
            report,
            cpu_us: cpu_ns as f64 / 1000.0,
            seconds,
            steal: stolen_now.saturating_sub(stolen) as f64 / ticks as f64,
            // Containers here have no CPU limit.
            throttled: 0,
            parts: Vec::new(),
        })
    }
}

/// The same load for as long as the warm-up.
fn warm(ask: &Ask) -> Option<Shape> {
    let seconds = ask.warmup_seconds;
    match ask.shape {
        Shape::Count(_) => None,
        Shape::Closed { users, .. } => Some(Shape::Closed { users, seconds }),
        Shape::Open { rate, connections, seed, .. } => {
            Some(Shape::Open { rate, connections, seconds, seed: seed.wrapping_add(1) })
        }
    }
}

impl Server for LocalServer<'_> {
    fn start(&self) -> Start {
        self.start
    }

    fn evidence(&self) -> Result<Evidence> {
        let mut evidence = procfs::evidence(self.pid)?;
        evidence.variant.clone_from(&self.variant);
        evidence.runtime.clone_from(&self.runtime);
        Ok(evidence)
    }

    fn memory(&self) -> Result<(u64, u64)> {
        procfs::memory(self.pid)
    }

    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn measure(&mut self, asks: &[Ask]) -> Result<Vec<Taken>> {
        let mut taken = Vec::new();
        for ask in asks {
            let result = self.take(ask);
            // A dead server's last words tell more than the generator's failure.
            if self.child.ended()? || !Path::new(&format!("/proc/{}", self.pid)).exists() {
                let path = &ask.path;
                return Err(self.child.failed(&format!("ended while its route {path} was under load")));
            }
            taken.push(result?);
        }
        Ok(taken)
    }
}
