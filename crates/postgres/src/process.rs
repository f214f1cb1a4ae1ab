//! A child process that cannot outlive us, run by the right account with nothing of ours but one descriptor.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use command_fds::CommandFdExt;
use rustix::process::{Pid, PidfdFlags, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use tokio::sync::{oneshot, watch};

use crate::account::RunAs;
use crate::log::{LogFile, Progress, Tail, drain};

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(ExitStatus),
    /// Another part of our process collected the status first.
    Unknown,
}

impl Exit {
    pub(crate) fn success(self) -> bool {
        matches!(self, Self::Status(status) if status.success())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Unknown => f.write_str("status unknown"),
        }
    }
}

/// What to run.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) run_as: RunAs,
    /// The cluster's folder, kept open in the child under the same number: see [`folder_argument`].
    pub(crate) folder: OwnedFd,
    /// Sent by the kernel when we die, and by us when the [`Process`] is dropped.
    pub(crate) signal_on_death: Signal,
    pub(crate) signal_on_drop: Signal,
}

/// The name under which a child finds the folder. Following such a link jumps to the folder itself, so it works
/// even where the child's account may not enter the folders above (a clone in `/root`).
pub(crate) fn folder_argument(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}

/// A running child. Dropping it sends its signal and does not wait.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    signal_on_drop: Signal,
    exit: watch::Receiver<Option<Exit>>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) tail: Tail,
}

struct Started {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Process {
    /// Starts it on a thread of its own, which lives until the child has ended: the parent-death signal is sent
    /// when the *thread* that started the child ends, and a runtime's threads come and go.
    pub(crate) async fn spawn(program: Program, log: LogFile) -> io::Result<Self> {
        let (exit_sender, exit) = watch::channel(None);
        let (progress_sender, progress) = watch::channel(Progress::Starting);
        let (started_sender, started) = oneshot::channel();
        let tail = Tail::default();
        let signal_on_drop = program.signal_on_drop;
        let lines = tail.clone();
        thread::Builder::new()
            .name("postgres-wait".to_owned())
            .spawn(move || {
                let mut child = match launch(program, log, lines, progress_sender) {
                    Ok((child, running)) => {
                        if let Err(Ok(running)) = started_sender.send(Ok(running)) {
                            // The caller was cancelled before it owned the child.
                            let _ = rustix::process::pidfd_send_signal(&running.pidfd, signal_on_drop);
                        }
                        child
                    }
                    Err(error) => {
                        let _ = started_sender.send(Err(error));
                        return;
                    }
                };
                exit_sender.send_replace(Some(child.wait().map_or(Exit::Unknown, Exit::Status)));
            })?;
        let Started { pid, pidfd } = started
            .await
            .map_err(|_| io::Error::other("the starting thread ended"))??;
        Ok(Self {
            pid,
            pidfd,
            signal_on_drop,
            exit,
            progress,
            tail,
        })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    /// Through the process descriptor, so it cannot reach a stranger that got the same number later.
    pub(crate) fn signal(&self, signal: Signal) {
        // The only failure is that the process has ended.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
    }

    /// Returns when the process has ended. Cancel-safe.
    pub(crate) async fn exited(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Unknown),
            Err(_) => Exit::Unknown,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(self.signal_on_drop);
    }
}

/// Runs on the waiting thread.
fn launch(
    program: Program,
    log: LogFile,
    tail: Tail,
    progress: watch::Sender<Progress>,
) -> io::Result<(Child, Started)> {
    let (output, input) = io::pipe()?;
    let mut command = command(program);
    command
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input);
    // Before the child, so that a failure leaves none behind. It ends when the pipe does.
    thread::Builder::new()
        .name("postgres-log".to_owned())
        .spawn(move || drain(output, log, &tail, &progress))?;
    let child = command.spawn()?;
    let pid = Pid::from_child(&child);
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok((child, Started { pid, pidfd })),
        Err(error) => {
            abandon(child);
            Err(error.into())
        }
    }
}

/// A child that we have no descriptor for: it has not been waited for, so its number is still its own.
fn abandon(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn command(program: Program) -> Command {
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(environment(&program.path));
    // PostgreSQL returns to the folder it was started in, which its account must be able to enter.
    command.current_dir("/");
    // Ctrl-C in a terminal is for us: we end our sessions first, then the server.
    command.process_group(0);
    if let RunAs::Change(account) = &program.run_as {
        // The standard library also clears the supplementary groups.
        command.uid(account.uid).gid(account.gid);
    }
    // The same number in the child: a chosen one could be the number of the standard library's own pipe.
    command.preserved_fds(vec![program.folder]);
    die_with_parent(&mut command, program.signal_on_death);
    command
}

/// All that the programs get to see of an environment.
fn environment(program: &Path) -> [(&'static str, OsString); 4] {
    let mut path = program.parent().unwrap_or(Path::new("/")).as_os_str().to_owned();
    path.push(":/usr/bin:/bin");
    [
        ("PATH", path),
        ("LC_ALL", "C".into()),
        ("TZ", "UTC".into()),
        ("HOME", "/".into()),
    ]
}

/// Also gives up every capability, and for good. After the change of account, which would undo the signal.
fn die_with_parent(command: &mut Command, signal: Signal) {
    let parent = rustix::process::getpid();
    let prepare = move || {
        rustix::thread::set_no_new_privs(true)?;
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        rustix::thread::set_capabilities(None, sets)?;
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // We may have died before the call, and then no signal comes.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "there is no safe way to run code between fork and exec"
    )]
    // SAFETY: the closure only makes system calls through rustix, which neither allocate nor lock.
    unsafe {
        command.pre_exec(prepare);
    }
}
