//! Reading `/proc`. The parsers take bytes and answer `None` for what they cannot read: a process may rename
//! itself to anything, and may be gone between two reads.

use rustix::process::Pid;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What we use of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) zombie: bool,
    pub(crate) session: i32,
    /// Own time and that of children it has waited for, user and system, in clock ticks.
    pub(crate) ticks: u64,
}

/// What we use of `/proc/<pid>/statm`, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statm {
    pub(crate) resident: u64,
    pub(crate) shared: u64,
}

pub(crate) fn stat(pid: Pid) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

pub(crate) fn statm(pid: Pid) -> Option<Statm> {
    parse_statm(&std::fs::read(format!("/proc/{pid}/statm")).ok()?)
}

/// Proportional set size in bytes. The error kind tells "may not read" from "is gone".
pub(crate) fn pss(pid: Pid) -> std::io::Result<u64> {
    let text = std::fs::read(format!("/proc/{pid}/smaps_rollup"))?;
    parse_kibibytes(&text, "Pss:").ok_or_else(|| std::io::Error::from(ErrorKind::InvalidData))
}

/// A field of `/proc/<pid>/status`.
pub(crate) fn status(pid: Pid, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

/// The words of a command line, each ended by a zero byte. Empty for a process that is gone.
pub(crate) fn command_line(pid: Pid) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

/// Which namespace of this kind a process is in: a process id, or `self`. `None` where we may not look.
pub(crate) fn namespace(process: &str, kind: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/{kind}")).ok()
}

/// Where a process works; `None` for a dead one, and for one that is not ours to look at.
pub(crate) fn working_directory(pid: Pid) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Whether a process has ended, or is so near its end that it has given up its working directory.
pub(crate) fn is_dying(pid: Pid) -> bool {
    std::fs::read_link(format!("/proc/{pid}/cwd")).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Every process of the machine, or of our pid namespace.
pub(crate) fn all() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid: &i32| pid > 0)
        .filter_map(Pid::from_raw)
        .collect()
}

/// The children of a process, whichever of its threads started or adopted them.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    children_below(Path::new(&format!("/proc/{pid}/task")))
}

/// Our own children, those we were given as their subreaper included.
pub(crate) fn own_children() -> Vec<Pid> {
    children_below(Path::new("/proc/self/task"))
}

/// Whether the kernel lists children (`CONFIG_PROC_CHILDREN`, set by every large distribution).
pub(crate) fn lists_children() -> bool {
    Path::new("/proc/thread-self/children").exists()
}

fn children_below(tasks: &Path) -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir(tasks) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read(thread.path().join("children")).ok())
        .flat_map(|list| parse_pids(&list))
        .collect()
}

pub(crate) fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name in parentheses may itself hold spaces and parentheses: only the last one closes it.
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let fields: Vec<&str> = std::str::from_utf8(text.get(close + 1..)?)
        .ok()?
        .split_ascii_whitespace()
        .collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        zombie: *fields.first()? == "Z",
        session: fields.get(3)?.parse().ok()?,
        ticks: (11..=14)
            .map(ticks)
            .try_fold(0u64, |sum, part| sum.checked_add(part?))?,
    })
}

pub(crate) fn parse_statm(text: &[u8]) -> Option<Statm> {
    let mut pages = std::str::from_utf8(text)
        .ok()?
        .split_ascii_whitespace()
        .skip(1)
        .map(str::parse);
    Some(Statm {
        resident: pages.next()?.ok()?,
        shared: pages.next()?.ok()?,
    })
}

/// The value of a line of `smaps_rollup`, in bytes.
pub(crate) fn parse_kibibytes(text: &[u8], field: &str) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

fn parse_pids(text: &[u8]) -> Vec<Pid> {
    text.split(u8::is_ascii_whitespace)
        .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
        .filter(|&pid: &i32| pid > 0)
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(test)]
mod tests;
