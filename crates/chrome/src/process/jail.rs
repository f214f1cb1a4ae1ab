//! The processes of a jail: bubblewrap outside, and everything below the first process inside, which the kernel ends
//! and reaps when that one ends.

use super::{BrowserExit, wait_for};
use crate::limits::view::root_of;
use crate::procfs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, pidfd_send_signal, waitid,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Added by shells, by bubblewrap and by our first process to the number of the signal that ended what they ran.
const SIGNALED: i32 = 128;

/// The outer process of a jail, and the first one inside.
#[derive(Debug)]
pub(super) struct Jail {
    bubblewrap: Pid,
    first: OnceLock<First>,
    files: Vec<PathBuf>,
}

/// The first process inside: its number, and a hold on it, for the number may become another's.
#[derive(Debug)]
struct First {
    pid: Pid,
    process: OwnedFd,
}

impl Jail {
    pub(super) fn new(bubblewrap: Pid, files: Vec<PathBuf>) -> Jail {
        Jail {
            bubblewrap,
            first: OnceLock::new(),
            files,
        }
    }

    /// Its file systems in memory.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The root directory inside; `None` before it is known who is the first process there, and after its end.
    ///
    /// # Errors
    /// We may not look inside.
    pub(super) fn root(&self) -> Option<std::io::Result<OwnedFd>> {
        let first = self.first.get()?;
        let root = root_of(first.pid).map_err(Into::into);
        // Alive after the number was used, so it was its number still.
        let mut ended = [PollFd::new(&first.process, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        (poll(&mut ended, Some(&at_once)) == Ok(0)).then_some(root)
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
            let _ = pidfd_send_signal(&first.process, Signal::KILL);
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
        outside + inside.map_or(0, |first| wait_for(&WaitId::PidFd(first.process.as_fd())))
    }

    /// Of bubblewrap: the first process inside, or nobody yet, or nobody any more.
    fn children(&self) -> Vec<First> {
        let children = procfs::children(self.bubblewrap).into_iter();
        children
            .filter_map(|pid| {
                let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
                Some(First { pid, process })
            })
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
