//! The processes of a jail: bubblewrap outside, and everything below the first process inside, which the kernel ends
//! and reaps when that one ends.

use super::{BrowserExit, wait_for};
use crate::procfs;
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, pidfd_send_signal, waitid,
};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

/// Added by shells, by bubblewrap and by our first process to the number of the signal that ended what they ran.
const SIGNALED: i32 = 128;

/// The outer process of a jail, and the first one inside.
#[derive(Debug)]
pub(super) struct Jail {
    bubblewrap: Pid,
    first: OnceLock<OwnedFd>,
}

impl Jail {
    pub(super) fn new(bubblewrap: Pid) -> Jail {
        Jail {
            bubblewrap,
            first: OnceLock::new(),
        }
    }

    /// Finds the first process, which runs by now, so that it can be told from others should bubblewrap end before it.
    pub(super) fn entered(&self) {
        if let Some(first) = self.children().pop() {
            // Called once.
            let _ = self.first.set(first);
        }
    }

    /// Ends what is inside; bubblewrap then ends by itself, with the news.
    pub(super) fn kill(&self) {
        match self.first.get() {
            // Fails only when it has ended by itself.
            Some(first) => drop(pidfd_send_signal(first, Signal::KILL)),
            // Takes its child with it.
            None => self.signal(Signal::KILL),
        }
    }

    /// Ends the first process, waits until the kernel has ended the rest, and reaps what is ours.
    pub(super) fn destroy(&self) -> u32 {
        // Stopped, it cannot fork any more: nothing is missed when it is killed while it builds.
        self.signal(Signal::STOP);
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // Fails when it was waited for, which nobody else does.
        let _ = retry_on_intr(|| waitid(WaitId::Pid(self.bubblewrap), stopped));
        let children = self.children();
        let inside = || children.iter().chain(self.first.get());
        for process in inside() {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        self.signal(Signal::KILL);
        let outside = wait_for(&WaitId::Pid(self.bubblewrap));
        // With its parent gone it is our child, unless that has reaped it before.
        let adopted = inside().map(|process| wait_for(&WaitId::PidFd(process.as_fd())));
        outside + adopted.sum::<u32>()
    }

    /// Of bubblewrap: the first process inside, or nobody yet, or nobody any more.
    fn children(&self) -> Vec<OwnedFd> {
        let children = procfs::children(self.bubblewrap).into_iter();
        children
            .filter_map(|child| pidfd_open(child, PidfdFlags::empty()).ok())
            .collect()
    }

    fn signal(&self, signal: Signal) {
        // Fails only when it was waited for.
        let _ = kill_process(self.bubblewrap, signal);
    }
}

/// How the browser ended, by the exit code of bubblewrap.
pub(super) fn exit(code: i32) -> BrowserExit {
    match code - SIGNALED {
        signal @ 1.. => BrowserExit::Signal(signal),
        _ => BrowserExit::Code(code),
    }
}
