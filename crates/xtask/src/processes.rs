//! The processes under this one, as /proc shows them.
//!
//! A test starts servers that start browsers that start helpers, some in groups of their own and with a cleared
//! environment; neither a group nor a variable finds them all. Ancestry does: as a child subreaper, this process
//! inherits every orphan below it, so whatever the run started stays its descendant until it ends.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

/// One process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    parent: i32,
    /// Clock ticks after boot: together with the pid this names a process for good.
    started: u64,
    zombie: bool,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name is in parentheses and may hold any character, so the fields are counted from its last one.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            pid,
            zombie: *fields.first()? == "Z",
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// The command line, or the bare pid when the process has just ended.
    pub fn describe(&self) -> String {
        let line = command_line(self.pid).unwrap_or_default();
        format!("{} {}", self.pid, line.chars().take(160).collect::<String>())
    }

    /// Ends the process at once. One that ended meanwhile, and whose pid another may have, is left alone.
    pub fn kill(&self) {
        if Self::read(self.pid).is_some_and(|now| now.started == self.started)
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may end between the look and the signal; then there is nothing left to do.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn command_line(pid: i32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(
        String::from_utf8_lossy(&bytes)
            .replace('\0', " ")
            .trim_end()
            .to_owned(),
    )
}

/// From now on an orphan below this process becomes its child, instead of init's.
pub fn adopt_orphans() -> Result<()> {
    set_child_subreaper(Some(getpid())).context("this process could not become a child subreaper")
}

fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Process::read(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Every living process below this one.
pub fn descendants() -> Vec<Process> {
    below(getpid().as_raw_nonzero().get(), all())
        .into_iter()
        .filter(|process| !process.zombie)
        .collect()
}

fn below(ancestor: i32, mut others: Vec<Process>) -> Vec<Process> {
    let mut known = HashSet::from([ancestor]);
    let mut found = Vec::new();
    loop {
        let (children, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|process| known.contains(&process.parent));
        if children.is_empty() {
            return found;
        }
        known = children.iter().map(|process| process.pid).collect();
        found.extend(children);
        others = rest;
    }
}

/// The pids of this process's own children: those that somebody here waits for.
pub fn children() -> HashSet<i32> {
    let own = getpid().as_raw_nonzero().get();
    all()
        .into_iter()
        .filter(|process| process.parent == own)
        .map(|process| process.pid)
        .collect()
}

/// Collects adopted children that have ended, so that a test that looks for them sees them gone.
/// Those in `waited_for` are left to whoever waits for them.
pub fn reap_orphans(waited_for: &HashSet<i32>) {
    let own = getpid().as_raw_nonzero().get();
    let ended = all()
        .into_iter()
        .filter(|process| process.zombie && process.parent == own);
    for pid in ended
        .filter(|process| !waited_for.contains(&process.pid))
        .filter_map(|it| Pid::from_raw(it.pid))
    {
        // Nobody needs its exit code, and one that is already collected is what we wanted.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Whether the command line of any living process mentions the path.
pub fn anyone_uses(path: &Path) -> bool {
    let path = path.to_string_lossy();
    all()
        .iter()
        .any(|process| command_line(process.pid).is_some_and(|line| line.contains(&*path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            started: 0,
            zombie: false,
        }
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = format!("7 (a) Z (b) S 3 {} 99 0", "0 ".repeat(17).trim_end());
        assert_eq!(
            Process::parse(7, &stat),
            Some(Process {
                started: 99,
                ..process(7, 3)
            })
        );
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_nobody_else() {
        let others = vec![process(5, 4), process(3, 2), process(4, 3), process(9, 1)];
        let mut found: Vec<i32> = below(2, others).iter().map(|process| process.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [3, 4, 5]);
    }

    #[test]
    fn a_child_of_ours_is_a_descendant_until_it_is_killed() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .expect("sleep starts");
        let pid = i32::try_from(child.id()).expect("a pid fits");
        let found = descendants()
            .into_iter()
            .find(|process| process.pid == pid)
            .expect("it is listed");
        found.kill();
        child.wait().expect("it ends");
        assert!(!descendants().contains(&found));
    }
}
