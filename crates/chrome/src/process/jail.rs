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
            // Whoever came before has found the same.
            let _ = self.first.set(first);
        }
    }

    /// Kills both. Bubblewrap is stopped before that is looked up which it may be forking.
    pub(super) fn kill(&self) {
        if self.first.get().is_none() {
            self.signal(Signal::STOP);
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            // Fails when it was waited for, which nobody else does.
            let _ = retry_on_intr(|| waitid(WaitId::Pid(self.bubblewrap), stopped));
            self.entered();
        }
        if let Some(first) = self.first.get() {
            // Fails only when it has ended by itself.
            let _ = pidfd_send_signal(first, Signal::KILL);
        }
        self.signal(Signal::KILL);
    }

    /// The browser: what the first process started before it had orphans to take in.
    pub(super) fn main(&self) -> Option<Pid> {
        let first = procfs::children(self.bubblewrap).into_iter().next()?;
        procfs::children(first).into_iter().next()
    }

    /// Ends the first process, waits until the kernel has ended the rest, and reaps what is ours.
    pub(super) fn destroy(&self) -> u32 {
        self.kill();
        let outside = wait_for(&WaitId::Pid(self.bubblewrap));
        // With its parent gone it is our child, unless that has reaped it before.
        let inside = self.first.get();
        outside + inside.map_or(0, |first| wait_for(&WaitId::PidFd(first.as_fd())))
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

/// How the browser ended, by the exit code of bubblewrap or of our first process.
pub(crate) fn exit(code: i32) -> BrowserExit {
    match (code, code - SIGNALED) {
        (0, _) => BrowserExit::Clean,
        (_, signal @ 1..) => BrowserExit::Signal(signal),
        _ => BrowserExit::Code(code),
    }
}
