//! What `/proc` says of a process and of this machine.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::paths;
use crate::proof::Evidence;

fn of(pid: u32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

/// The last of the processes below `pid` that is none of `between`.
pub fn descendant(pid: u32, between: &[&str]) -> Result<Option<u32>> {
    let mut level = vec![pid];
    while !level.is_empty() {
        let mut below = Vec::new();
        for pid in level {
            let comm = fs::read_to_string(of(pid, "comm")).unwrap_or_default();
            if !comm.is_empty() && !between.contains(&comm.trim()) {
                return Ok(Some(pid));
            }
            below.extend(children(pid));
        }
        level = below;
    }
    Ok(None)
}

/// None where the process has just ended.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(of(pid, "task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// What the kernel says of a process; annotation and runtime are the caller's.
pub fn evidence(pid: u32) -> Result<Evidence> {
    let mut found = Evidence { running: true, ..Evidence::default() };
    found.comm = paths::read(&of(pid, "comm"))?.trim().to_owned();
    let words = fs::read(of(pid, "cmdline")).with_context(|| format!("read the command line of process {pid}"))?;
    let words: Vec<String> = words
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    found.cmdline = words.join(" ");
    for line in paths::read(&of(pid, "maps"))?.lines() {
        let mut fields = line.split_whitespace();
        let permissions = fields.nth(1).unwrap_or_default();
        match fields.nth(3) {
            Some(path) => found.libwasmedge |= path.contains("libwasmedge"),
            None => found.anonymous_executable += u32::from(permissions.contains('x')),
        }
    }
    (found.rss_kib, _) = memory(pid)?;
    Ok(found)
}

/// Resident memory now and at its highest, KiB.
pub fn memory(pid: u32) -> Result<(u64, u64)> {
    let status = paths::read(&of(pid, "status"))?;
    Ok((kib(&status, "VmRSS:")?, kib(&status, "VmHWM:")?))
}

/// Proportional set size, KiB: shared pages are divided among those that share them.
pub fn proportional(pid: u32) -> Result<u64> {
    kib(&paths::read(&of(pid, "smaps_rollup"))?, "Pss:")
}

fn kib(text: &str, key: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).with_context(|| format!("/proc says no {key}"))
}

/// CPU time of all threads that there are, nanoseconds, to the scheduler's own
/// accuracy. The servers measured start theirs once and keep them.
pub fn cpu_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(of(pid, "task")).with_context(|| format!("process {pid} has ended"))? {
        let path = thread.with_context(|| format!("list the threads of process {pid}"))?.path().join("schedstat");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // It ended after it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32) => {
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        sum += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// CPU time of the whole machine: what the hypervisor gave to others, and all, in ticks.
pub fn stolen() -> Result<(u64, u64)> {
    let text = paths::read(std::path::Path::new("/proc/stat"))?;
    let first = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat has no line cpu")?;
    // user nice system idle iowait irq softirq steal; guest times are in user already. See proc(5).
    let ticks: Vec<u64> = first.split_whitespace().take(8).filter_map(|word| word.parse().ok()).collect();
    Ok((ticks.get(7).copied().unwrap_or(0), ticks.iter().sum()))
}

/// The value of the first line `key : value` of /proc/cpuinfo.
pub fn cpuinfo(key: &str) -> Result<Option<String>> {
    let text = paths::read(std::path::Path::new("/proc/cpuinfo"))?;
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    });
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let pid = std::process::id();
        let seen = evidence(pid).unwrap();
        assert!(!seen.libwasmedge && seen.rss_kib > 100, "{seen:?}");
        let (now, peak) = memory(pid).unwrap();
        assert!(now <= peak);
        assert!(proportional(pid).unwrap() > 0);
        assert!(cpu_ns(pid).unwrap() > 0);
        let (stolen, all) = stolen().unwrap();
        assert!(stolen < all);
    }

    #[test]
    fn the_server_is_found_below_those_that_brought_it() {
        let child = crate::process::Cmd::new("sh").args(["-c", "sleep 600; true"]).start().unwrap();
        let found = (0..200).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            descendant(child.pid(), &["sh"]).unwrap()
        });
        assert_eq!(fs::read_to_string(of(found.unwrap(), "comm")).unwrap().trim(), "sleep");
    }
}
