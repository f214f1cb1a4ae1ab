//! A control group of a browser's own: the kernel holds everything in it to its limits, and ends everything in it at a word.

use super::Limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// In which the processor time of a limit is counted, in microseconds: the kernel's default.
const CPU_PERIOD: u64 = 100_000;
const KILL: &str = "cgroup.kill";
/// A group can be removed when the last process in it has ended, of which the kernel tells.
const REMOVE_TRIES: u32 = 5;
const REMOVE_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The group. Dropped, everything in it is killed, and it goes.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    folder: PathBuf,
    has_memory_limit: bool,
}

impl ControlGroup {
    /// Makes the group and sets its limits.
    ///
    /// # Errors
    /// The kernel refused, or a group of this name is still there; nothing is left.
    pub(super) fn create(folder: PathBuf, limits: &Limits) -> Result<ControlGroup> {
        fs::create_dir(&folder)?;
        // From here on it goes when it is dropped.
        let group = ControlGroup {
            folder,
            has_memory_limit: limits.memory.is_some(),
        };
        for (file, value) in settings(limits) {
            let set = group.write(file, &value);
            set.or_else(|error| match error.kind() {
                // What the kernel was built or configured without, and what holds anyway.
                ErrorKind::NotFound | ErrorKind::PermissionDenied if is_optional(file) => Ok(()),
                _ => Err(Error::new(error.kind(), format!("{file}: {error}"))),
            })?;
        }
        Ok(group)
    }

    /// One that is there already.
    pub(super) fn at(folder: PathBuf) -> ControlGroup {
        ControlGroup {
            folder,
            has_memory_limit: false,
        }
    }

    /// Whoever writes `0` to this file is in the group from then on, with all that it starts.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn door(&self) -> Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.folder.join("cgroup.procs"))
    }

    /// Whether the kernel has ended it for passing its own limit. What the kernel ends because the whole machine has no
    /// memory left is counted as a kill too, but not as a limit that was reached.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        if !self.has_memory_limit {
            return false;
        }
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let happened = |wanted: &[&str]| {
            events.lines().any(|line| {
                let (name, count) = line.split_once(' ').unwrap_or_default();
                wanted.contains(&name) && count.trim().parse().is_ok_and(|count: u64| count > 0)
            })
        };
        happened(&["oom"]) && happened(&["oom_kill", "oom_group_kill"])
    }

    /// Kills everything in it, whatever it does, at once.
    pub(crate) fn kill(&self) {
        match self.write(KILL, "1") {
            Ok(()) => {}
            // A kernel before 5.14, which says "not found" or, since we would make the file, "not permitted"; there the
            // processes are ended one by one.
            Err(_) if !self.folder.join(KILL).exists() => {}
            Err(error) => {
                tracing::error!(group = %self.folder.display(), %error, "cannot kill a control group");
            }
        }
    }

    /// Removes it once everything in it has ended. Blocks, half a second at most; a second call does nothing.
    pub(crate) fn remove(&self) -> bool {
        for _ in 0..REMOVE_TRIES {
            match fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => self.wait_for_change(),
                Err(error) if error.kind() == ErrorKind::NotFound => return true,
                Err(error) => {
                    tracing::error!(group = %self.folder.display(), %error, "cannot remove a control group");
                    return false;
                }
                Ok(()) => return true,
            }
        }
        tracing::error!(group = %self.folder.display(), "a control group does not become empty");
        false
    }

    fn wait_for_change(&self) {
        if let Ok(mut events) = File::open(self.folder.join("cgroup.events")) {
            // What was read before is what a change is told against.
            let _ = std::io::copy(&mut events, &mut std::io::sink());
            let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&REMOVE_AGAIN));
        }
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        write(&self.folder.join(file), value)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        if self.folder.exists() {
            self.kill();
            self.remove();
        }
    }
}

/// Writes to a file of the kernel's, in one piece, as it wants it.
pub(super) fn write(file: &Path, value: &str) -> Result<()> {
    // The kernel makes no such file for anybody, and refuses one that it does not have.
    fs::write(file, value)
}

/// The files of a group, and what they are to hold.
fn settings(limits: &Limits) -> Vec<(&'static str, String)> {
    let mut settings = vec![("pids.max", limits.processes.number().to_string())];
    if let Some(memory) = limits.memory {
        settings.push(("memory.max", memory.bytes().to_string()));
        // Else what is too much would go on in the swap, slowly, and slow the neighbours down.
        settings.push(("memory.swap.max", "0".to_owned()));
        // A browser without one of its processes is of no use to anybody.
        settings.push(("memory.oom.group", "1".to_owned()));
    }
    if let Some(cpu) = limits.cpu {
        let quota = u64::from(cpu.percent()) * CPU_PERIOD / 100;
        settings.push(("cpu.max", format!("{quota} {CPU_PERIOD}")));
    }
    settings
}

/// Without swap there is nothing to limit.
fn is_optional(file: &str) -> bool {
    file == "memory.swap.max"
}
