//! Browsers that outlived the process that started them.
//!
//! There should be none: a browser ends when its control pipe closes, and the kernel sends it a signal when its parent dies.
//! Should both fail one day, the next start finds what is left by its working directory, a profile's folder in a root
//! that nobody owns any more.

use crate::procfs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::path::Path;

/// A killed process is gone within some 30 ms. They are not our children, so nobody can say how long it takes at most.
const END_LIMIT: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// A process that was just being forked is found by the second look.
const LOOKS: u32 = 3;

/// Kills every process that works below `root`, a directory of profiles without an owner, and waits until they are gone.
/// Blocks; best effort.
pub(crate) fn end_processes(root: &Path) {
    // As the kernel spells it.
    let Ok(root) = root.canonicalize() else {
        return;
    };
    for _ in 0..LOOKS {
        let found: Vec<(Pid, OwnedFd)> = procfs::all()
            .into_iter()
            .filter(|&pid| works_below(pid, &root))
            // Opened before the second look: the number may have become another process's since the first.
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            .filter(|&(pid, _)| works_below(pid, &root))
            .collect();
        if found.is_empty() {
            return;
        }
        for (pid, process) in &found {
            tracing::warn!(%pid, root = %root.display(), "a browser has outlived its worker; it is killed");
            if let Err(error) = pidfd_send_signal(process, Signal::KILL) {
                tracing::error!(%pid, %error, "cannot kill a browser that has outlived its worker");
            }
        }
        for (_, process) in &found {
            // Readable once it has ended.
            let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&END_LIMIT));
        }
    }
}

/// Strictly: a shell that somebody left in the root itself is no browser.
fn works_below(pid: Pid, root: &Path) -> bool {
    procfs::working_directory(pid).is_some_and(|folder| folder != root && folder.starts_with(root))
}
