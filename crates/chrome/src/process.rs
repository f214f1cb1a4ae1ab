//! The processes of one browser: seeing it exit, killing all of it, reaping all of it.

mod group;
mod jail;

use crate::limits::cgroup::ControlGroup;
use crate::limits::view::{JailView, View};
use crate::sampler::Sampler;
use group::Group;
use jail::Jail;
pub(crate) use jail::exit as jail_exit;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, waitid};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// It took more memory than its limit, and was ended whole.
    OutOfMemory,
}

impl std::fmt::Display for BrowserExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BrowserExit::Clean => f.write_str("exit code 0"),
            BrowserExit::Code(code) => write!(f, "exit code {code}"),
            BrowserExit::Signal(signal) => write!(f, "signal {signal}"),
            BrowserExit::OutOfMemory => f.write_str("its limit of memory, which it had passed"),
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
pub(crate) struct Processes(Arc<Family>);

impl Processes {
    /// Takes over a child that leads its own session and has not been waited for.
    ///
    /// `folder` is its working directory, which no other browser shares, as the kernel spells it.
    pub(crate) fn group(leader: Pid, folder: PathBuf, control: Option<ControlGroup>) -> Processes {
        Processes::new(leader, Kind::Group(Group::new(leader, folder)), control)
    }

    /// Takes over a child that builds a jail and waits for its first process. It has not been waited for. `files` are
    /// the jail's file systems in memory.
    pub(crate) fn jail(leader: Pid, files: Vec<PathBuf>, control: Option<ControlGroup>) -> Processes {
        Processes::new(leader, Kind::Jail(Jail::new(leader, files)), control)
    }

    fn new(leader: Pid, kind: Kind, control: Option<ControlGroup>) -> Processes {
        Processes(Arc::new(Family {
            leader,
            kind,
            control,
            too_large: AtomicBool::new(false),
            destroying: AtomicBool::new(false),
            reaped: Mutex::new(None),
        }))
    }

    pub(crate) fn family(&self) -> &Arc<Family> {
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
pub(crate) struct Family {
    leader: Pid,
    kind: Kind,
    control: Option<ControlGroup>,
    /// Whether it was killed for its memory.
    too_large: AtomicBool,
    /// Whether [`Family::destroy`] has begun, which leaves nothing to do for anybody else.
    destroying: AtomicBool,
    /// How many processes were waited for, once all are. Until then the leader's number cannot be anybody else's.
    reaped: Mutex<Option<u32>>,
}

#[derive(Debug)]
enum Kind {
    Group(Group),
    Jail(Jail),
}

impl Family {
    pub(crate) fn leader(&self) -> Pid {
        self.leader
    }

    /// Says that a jail's first process runs.
    pub(crate) fn entered(&self) {
        match &self.kind {
            Kind::Group(_) => {}
            Kind::Jail(jail) => jail.entered(),
        }
    }

    /// Where the browser can be looked at cheaply; `None` while it is being started, and when it is gone.
    pub(crate) fn view(self: &Arc<Self>) -> Option<View> {
        match &self.kind {
            Kind::Group(_) => Some(View::Tree(Sampler::of(self))),
            Kind::Jail(jail) => Some(match jail.root()? {
                Ok(root) => View::Jail(JailView::of(root, jail.files())),
                // Where the kernel lets us not look inside. Its files do not count then.
                Err(_) => View::Tree(Sampler::of(self)),
            }),
        }
    }

    /// Kills all, for having more memory than they may.
    pub(crate) fn exceeded_memory(&self) {
        self.too_large.store(true, Ordering::Release);
        self.kill();
    }

    /// Whether they were killed for their memory, by us or by the kernel. To be asked before [`Family::destroy`].
    pub(crate) fn is_too_large(&self) -> bool {
        let by_kernel = || self.control.as_ref().is_some_and(ControlGroup::ran_out_of_memory);
        self.too_large.load(Ordering::Acquire) || by_kernel()
    }

    /// Sends SIGKILL to all. Does nothing while or after [`Family::destroy`] runs.
    pub(crate) fn kill(&self) {
        if self.is_reaped() {
            return;
        }
        // Whoever else holds it has the numbers in use for an instant.
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if reaped.is_some() {
            return;
        }
        if let Some(control) = &self.control {
            control.kill();
        }
        match &self.kind {
            Kind::Group(group) => group.kill(),
            Kind::Jail(jail) => jail.kill(),
        }
    }

    /// Sends SIGTERM to the browser itself, which takes its helpers along.
    pub(crate) fn terminate(&self) {
        if self.is_reaped() {
            return;
        }
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if reaped.is_some() {
            return;
        }
        let main = match &self.kind {
            Kind::Group(_) => Some(self.leader),
            Kind::Jail(jail) => jail.main(),
        };
        if let Some(main) = main {
            // Fails only when it has ended by itself.
            let _ = kill_process(main, Signal::TERM);
        }
    }

    /// Kills every process and waits until each is gone; answers how many were waited for. Blocks for the time the
    /// kernel needs to take them down (20-30 ms). A second call waits for the first.
    pub(crate) fn destroy(&self) -> u32 {
        self.destroying.store(true, Ordering::Release);
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        *reaped.get_or_insert_with(|| {
            if let Some(control) = &self.control {
                control.kill();
            }
            let count = match &self.kind {
                Kind::Group(group) => group.destroy(),
                Kind::Jail(jail) => jail.destroy(),
            };
            if let Some(control) = &self.control {
                control.remove();
            }
            count
        })
    }

    /// Whether they are gone, or going and not to be looked at any more.
    pub(crate) fn is_reaped(&self) -> bool {
        self.destroying.load(Ordering::Acquire)
    }

    /// Living processes that are not below the leader.
    pub(crate) fn strays(&self) -> Vec<Pid> {
        match &self.kind {
            Kind::Group(group) => group.strays().collect(),
            // Whoever loses its parent in a pid namespace gets the first process for one.
            Kind::Jail(_) => Vec::new(),
        }
    }

    fn exit(&self, code: Option<i32>, signal: Option<i32>) -> BrowserExit {
        match (code, signal, &self.kind) {
            (Some(code), _, Kind::Jail(_)) => jail_exit(code),
            (Some(0), ..) => BrowserExit::Clean,
            (Some(code), ..) => BrowserExit::Code(code),
            (None, signal, _) => BrowserExit::Signal(signal.unwrap_or_default()),
        }
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

/// The end of the browser's main process as an event.
#[derive(Debug)]
pub(crate) struct ExitEvent {
    pidfd: AsyncFd<OwnedFd>,
    family: Arc<Family>,
}

impl ExitEvent {
    /// # Errors
    /// No pidfd could be had: out of descriptors, or a kernel before 5.3.
    pub(crate) fn of(family: &Arc<Family>) -> std::io::Result<ExitEvent> {
        let pidfd = pidfd_open(family.leader, PidfdFlags::empty())?;
        #[expect(
            unsafe_code,
            reason = "tokio cannot see that an owned descriptor stays open while registered"
        )]
        // SAFETY: the `AsyncFd` owns the only handle, and `wait` lends it out by shared reference only.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE)? };
        Ok(ExitEvent {
            pidfd,
            family: Arc::clone(family),
        })
    }

    /// Leaves the process unreaped, so that its group can still be killed by number.
    pub(crate) async fn wait(&self) -> std::io::Result<BrowserExit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        loop {
            let mut ready = self.pidfd.readable().await?;
            if let Some(status) = waitid(WaitId::PidFd(self.pidfd.get_ref().as_fd()), options)? {
                return Ok(self
                    .family
                    .exit(status.exit_status(), status.terminating_signal()));
            }
            ready.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    #[expect(clippy::zombie_processes, reason = "its family waits for it")]
    fn running() -> Processes {
        let child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        Processes::group(Pid::from_child(&child), std::env::temp_dir(), None)
    }

    #[test]
    fn a_kill_is_not_lost_to_whoever_looks_at_the_same_time() {
        let processes = running();
        let family = processes.family();
        let held = family.reaped.lock().unwrap();
        assert!(!family.is_reaped(), "somebody looks, and nobody destroys");
        std::thread::scope(|scope| {
            let (left, leaves) = mpsc::channel();
            scope.spawn(move || {
                family.kill();
                left.send(()).unwrap();
            });
            let lost = leaves.recv_timeout(Duration::from_millis(50));
            assert!(lost.is_err(), "it left without a kill");
            drop(held);
            leaves.recv().unwrap();
        });
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(family.leader()), ended).unwrap().unwrap();
        assert_eq!(status.terminating_signal(), Some(9));
    }

    #[test]
    fn nobody_is_killed_who_is_gone() {
        let processes = running();
        assert!(processes.family().destroy() >= 1);
        assert!(processes.family().is_reaped());
        processes.family().kill();
        processes.family().terminate();
        assert_eq!(processes.family().destroy(), 1);
    }
}
