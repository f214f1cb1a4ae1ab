//! The processes of a browser outside a jail: one process group, and two that have left it.
//!
//! The browser leads its own session, and so its own process group. Zygotes, renderers, GPU and network
//! process stay in the group, the pid namespace of the sandbox notwithstanding. Only the two crashpad handlers
//! leave it, into sessions of their own; they are known by their working directory, the browser's folder. All
//! of them become our children when their parent dies, because we are a subreaper. We wait for them by group
//! and by pidfd, never for "any child", which would steal children from tokio.
//!
//! This finds what Chromium does by itself. A page that has taken over the browser's user could hide a process
//! from it; only a pid namespace holds such a one, as a jail has it.

use super::wait_for;
use crate::procfs;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitpgid,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

/// A browser's process group.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    folder: PathBuf,
    strays: OnceLock<Vec<Pid>>,
}

impl Group {
    pub(super) fn new(leader: Pid, folder: PathBuf) -> Group {
        Group {
            leader,
            folder,
            strays: OnceLock::new(),
        }
    }

    /// Kills every process and waits until each is gone; answers how many there were.
    pub(super) fn destroy(&self) -> u32 {
        self.kill();
        self.wait_for_group() + self.end_strays() + reap_orphans()
    }

    /// Living processes outside the group. They start with the browser, so they are looked up once, by the first
    /// caller, who must come after readiness; each is checked again to be the same process still.
    pub(super) fn strays(&self) -> impl Iterator<Item = Pid> {
        let strays = self.strays.get_or_init(|| self.children_in_folder().collect());
        strays
            .iter()
            .copied()
            .filter(|&stray| self.works_in_folder(stray))
    }

    pub(super) fn kill(&self) {
        match kill_process_group(self.leader, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => tracing::error!(leader = %self.leader, %error, "cannot kill a browser's processes"),
        }
    }

    /// Ends when no child of ours is left in the group. An orphan becomes our child before its parent can be
    /// waited for, so none is missed.
    fn wait_for_group(&self) -> u32 {
        let mut count = 0;
        loop {
            match waitpgid(self.leader, WaitOptions::empty()) {
                Ok(_) => count += 1,
                Err(Errno::INTR) => {}
                Err(_) => return count,
            }
        }
    }

    /// Repeats, because a stray caught between its two forks has a child that becomes ours when it dies.
    fn end_strays(&self) -> u32 {
        let mut count = 0;
        loop {
            let strays = self.open_strays();
            if strays.is_empty() {
                return count;
            }
            for stray in strays {
                // Fails only when it has ended by itself.
                let _ = pidfd_send_signal(&stray, Signal::KILL);
                count += wait_for(&WaitId::PidFd(stray.as_fd()));
            }
        }
    }

    fn open_strays(&self) -> Vec<OwnedFd> {
        // Opened before the second look: the number may have become another process's since the first.
        let open = |stray| Some((stray, pidfd_open(stray, PidfdFlags::empty()).ok()?));
        let opened = self.children_in_folder().filter_map(open);
        opened
            .filter(|&(stray, _)| self.works_in_folder(stray))
            .map(|(_, pidfd)| pidfd)
            .collect()
    }

    fn children_in_folder(&self) -> impl Iterator<Item = Pid> {
        let children = procfs::own_children().into_iter();
        children.filter(|&child| child != self.leader && self.works_in_folder(child))
    }

    fn works_in_folder(&self, pid: Pid) -> bool {
        procfs::working_directory(pid).is_some_and(|folder| folder == self.folder)
    }
}

/// Reaps strays that died before anybody could tell whose they were: they end by themselves, within
/// milliseconds, when the browser does, and without a working directory they belong to no browser.
///
/// A direct child of ours is in our session or leads its own, so a child in any third session was adopted, and
/// nobody but its subreaper waits for it. One without a working directory is dead, or will be in an instant.
fn reap_orphans() -> u32 {
    // Read as text: in a container whose session leader is outside, our session's number is 0, which `getsid`
    // of rustix takes for impossible.
    let Some(own) = procfs::stat(rustix::process::getpid()) else {
        return 0;
    };
    let adopted = |child: &Pid| {
        procfs::stat(*child).is_some_and(|stat| stat.session != own.session && stat.session != raw(*child))
    };
    let orphans = procfs::own_children().into_iter().filter(adopted);
    orphans
        .filter(|&orphan| procfs::is_dying(orphan))
        .map(|orphan| wait_for(&WaitId::Pid(orphan)))
        .sum()
}

fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}
