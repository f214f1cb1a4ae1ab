//! The processes of one browser: seeing it exit, killing all of it, reaping all of it.
//!
//! The browser leads its own session, and so its own process group. Zygotes, renderers, GPU and network
//! process stay in the group, the pid namespace of the sandbox notwithstanding. Only the two crashpad handlers
//! leave it, into sessions of their own; they are known by their working directory, the browser's folder. All
//! of them become our children when their parent dies, because we are a subreaper. We wait for them by group
//! and by pidfd, never for "any child", which would steal children from tokio.
//!
//! This finds what Chromium does by itself. A page that has taken over the browser's user could hide a process
//! from it; only a pid namespace or a cgroup holds such a one.

use crate::procfs;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid, waitpgid,
};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How the browser's main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserExit {
    /// Exit code 0: somebody asked it to close.
    Clean,
    /// Another exit code.
    Code(i32),
    /// Ended by a signal: 9 when it was killed, 6 or 11 when it crashed.
    Signal(i32),
}

impl std::fmt::Display for BrowserExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BrowserExit::Clean => f.write_str("exit code 0"),
            BrowserExit::Code(code) => write!(f, "exit code {code}"),
            BrowserExit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Makes this process the parent of the orphans among its descendants, so that it can reap them.
///
/// [`crate::Launcher::new`] calls it; it holds for the whole process and may be called again.
///
/// # Errors
/// The kernel's refusal, which no supported kernel gives.
pub fn become_subreaper() -> std::io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(Into::into)
}

/// One browser's processes, all of which die with this value.
#[derive(Debug)]
pub(crate) struct Processes(Arc<ProcessGroup>);

impl Processes {
    /// Takes over a child that leads its own session and has not been waited for.
    ///
    /// `folder` is its working directory, which no other browser shares, as the kernel spells it.
    pub(crate) fn adopt(leader: Pid, folder: PathBuf) -> Processes {
        let group = ProcessGroup {
            leader,
            folder,
            reaped: Mutex::new(None),
            strays: OnceLock::new(),
        };
        Processes(Arc::new(group))
    }

    pub(crate) fn group(&self) -> &Arc<ProcessGroup> {
        &self.0
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

/// The shared view of a browser's processes. Dropping it does nothing.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    leader: Pid,
    folder: PathBuf,
    /// How many processes were waited for, once all are. Until then the group's number cannot be anybody else's.
    reaped: Mutex<Option<u32>>,
    strays: OnceLock<Vec<Pid>>,
}

impl ProcessGroup {
    pub(crate) fn leader(&self) -> Pid {
        self.leader
    }

    /// Sends SIGKILL to the group. Does nothing while or after [`ProcessGroup::destroy`] runs.
    pub(crate) fn kill(&self) {
        let reaped = match self.reaped.try_lock() {
            Ok(reaped) => reaped,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if reaped.is_none() {
            self.signal_group();
        }
    }

    /// Kills every process and waits until each is gone; answers how many there were. Blocks for the time the
    /// kernel needs to take them down (20-30 ms). A second call waits for the first.
    pub(crate) fn destroy(&self) -> u32 {
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = *reaped {
            return count;
        }
        self.signal_group();
        let count = self.wait_for_group() + self.end_strays() + reap_orphans();
        *reaped = Some(count);
        count
    }

    pub(crate) fn is_reaped(&self) -> bool {
        // Held for long only by `destroy`, which is as good as reaped.
        self.reaped.try_lock().map_or(true, |reaped| reaped.is_some())
    }

    /// Living processes outside the group. They start with the browser, so they are looked up once, by the first
    /// caller, who must come after readiness; each is checked again to be the same process still.
    pub(crate) fn strays(&self) -> impl Iterator<Item = Pid> {
        let strays = self.strays.get_or_init(|| self.children_in_folder().collect());
        strays
            .iter()
            .copied()
            .filter(|&stray| self.works_in_folder(stray))
    }

    fn signal_group(&self) {
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

/// Reaps one process when it ends; answers how many that were.
fn wait_for(process: &WaitId<'_>) -> u32 {
    loop {
        match waitid(process.clone(), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            result => return u32::from(result.is_ok()),
        }
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

/// The end of the browser's main process as an event.
#[derive(Debug)]
pub(crate) struct ExitEvent(AsyncFd<OwnedFd>);

impl ExitEvent {
    /// # Errors
    /// No pidfd could be had: out of descriptors, or a kernel before 5.3.
    pub(crate) fn of(group: &ProcessGroup) -> std::io::Result<ExitEvent> {
        let pidfd = pidfd_open(group.leader, PidfdFlags::empty())?;
        #[expect(
            unsafe_code,
            reason = "tokio cannot see that an owned descriptor stays open while registered"
        )]
        // SAFETY: the `AsyncFd` owns the only handle, and `wait` lends it out by shared reference only.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE)? };
        Ok(ExitEvent(pidfd))
    }

    /// Leaves the process unreaped, so that its group can still be killed by number.
    pub(crate) async fn wait(&self) -> std::io::Result<BrowserExit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        loop {
            let mut ready = self.0.readable().await?;
            if let Some(status) = waitid(WaitId::PidFd(self.0.get_ref().as_fd()), options)? {
                return Ok(match (status.exit_status(), status.terminating_signal()) {
                    (Some(0), _) => BrowserExit::Clean,
                    (Some(code), _) => BrowserExit::Code(code),
                    (None, signal) => BrowserExit::Signal(signal.unwrap_or_default()),
                });
            }
            ready.clear_ready();
        }
    }
}
