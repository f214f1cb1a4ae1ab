//! The thread that forks browsers.
//!
//! The kernel ties "kill me when my parent dies" to the *thread* that forked. Threads of the async runtime's
//! blocking pool end after some idle seconds, so browsers are forked on one thread that lives as long as they do.

use crate::account::Account;
use crate::descriptors;
use crate::environment::environment;
use crate::jail;
use crate::limits::cgroup::ControlGroup;
use crate::limits::{ControlGroups, NoControlGroups};
use crate::out_of_memory;
use crate::process::Processes;
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Resource, Rlimit, Signal, setrlimit};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Handle to the thread, which ends with the last handle. A browser must hold one.
#[derive(Debug)]
pub(crate) struct Spawner(Mutex<mpsc::Sender<Job>>);

impl Spawner {
    pub(crate) fn start() -> std::io::Result<Spawner> {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("browser-spawner".to_owned())
            .spawn(move || jobs.into_iter().for_each(|job| job()))?;
        Ok(Spawner(Mutex::new(sender)))
    }

    /// Runs `job` on the thread. If the caller goes away meanwhile, the result is dropped there: a started
    /// browser dies with it.
    ///
    /// # Errors
    /// The thread has ended, which only a panic in a job can cause.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<T> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move || drop(answer.send(job())));
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        let gone = || std::io::Error::other("the thread that starts browsers has ended");
        sent.map_err(|_| gone())?;
        result.await.map_err(|_| gone())
    }
}

/// What a browser is started with.
pub(crate) struct SpawnRequest {
    pub(crate) account: Account,
    /// Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
    pub(crate) commands: OwnedFd,
    pub(crate) answers: OwnedFd,
    /// It is in one of these from its first moment on, where there are any.
    pub(crate) control: Arc<Result<ControlGroups, NoControlGroups>>,
    /// From descriptor [`jail::FIRST_FILE`] on: what is copied into a jail.
    pub(crate) files: Vec<OwnedFd>,
}

/// A browser that has been executed.
pub(crate) struct Spawned {
    pub(crate) processes: Processes,
    pub(crate) stderr: ChildStderr,
}

/// Forks and executes the browser in `folder`. Blocks for a few milliseconds.
pub(crate) fn spawn(
    request: SpawnRequest,
    binary: &Path,
    flags: &[String],
    folder: &Path,
) -> std::io::Result<Spawned> {
    let mut command = Command::new(binary);
    command.args(flags).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.env_clear().envs(environment(folder, folder));
    execute(command, request, |leader, control| {
        Processes::group(leader, folder.to_owned(), control)
    })
}

/// Forks and executes the browser in a jail. Blocks for a few milliseconds; the jail is built meanwhile.
pub(crate) fn spawn_jailed(
    request: SpawnRequest,
    builder: &jail::Builder,
    jailed: &jail::Jailed<'_>,
    socket: OwnedFd,
) -> std::io::Result<Spawned> {
    let mut command = Command::new(&builder.bubblewrap);
    command.args(jail::command_line(jailed)).current_dir("/");
    // Neither is the browser's: the first process gives it others.
    command.stdin(socket).stdout(builder.init.try_clone()?);
    command.env_clear();
    execute(command, request, |leader, control| {
        Processes::jail(leader, jail::memory_file_systems(jailed), control)
    })
}

fn execute(
    mut command: Command,
    request: SpawnRequest,
    adopt: impl FnOnce(Pid, Option<ControlGroup>) -> Processes,
) -> std::io::Result<Spawned> {
    command.stderr(Stdio::piped());
    if let Account::Other { user, group } = request.account {
        // Setting the user as root also drops the supplementary groups.
        command.gid(group).uid(user);
    }
    let groups = request.control.as_ref().as_ref().ok();
    let control = groups.map(ControlGroups::create).transpose()?;
    let door = control.as_ref().map(ControlGroup::door).transpose()?;
    #[expect(unsafe_code, reason = "the only way to run code between fork and exec")]
    // SAFETY: a write to a descriptor is a system call only. It comes before the mappings, which may use its number.
    unsafe {
        command.pre_exec(move || door.as_ref().map_or(Ok(()), enter));
    }
    let mut mappings = vec![
        FdMapping {
            parent_fd: request.commands,
            child_fd: 3,
        },
        FdMapping {
            parent_fd: request.answers,
            child_fd: 4,
        },
    ];
    let files = (jail::FIRST_FILE..).zip(request.files);
    mappings.extend(files.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd }));
    command.fd_mappings(mappings).map_err(std::io::Error::other)?;
    let parent = rustix::process::getpid();
    let descriptors = descriptors::before();
    #[expect(unsafe_code, reason = "the only way to run code between fork and exec")]
    // SAFETY: `restrain` makes system calls only; it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || restrain(parent, descriptors));
    }
    let mut child = command.spawn()?;
    // Spawning answers after exec, so `restrain` has run and the child leads its session.
    out_of_memory::come_first(&child.id().to_string(), out_of_memory::score());
    let processes = adopt(Pid::from_child(&child), control);
    let stderr = child
        .stderr
        .take()
        .ok_or_else(|| std::io::Error::other("stderr was not piped"))?;
    Ok(Spawned { processes, stderr })
}

/// Moves the child to the control group whose door this is.
fn enter(door: &File) -> std::io::Result<()> {
    rustix::io::write(door, b"0")?;
    Ok(())
}

/// Runs in the child after the change of user, which would clear the parent death signal.
fn restrain(parent: Pid, descriptors: Rlimit) -> std::io::Result<()> {
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        // The parent died before the signal was armed.
        return Err(rustix::io::Errno::SRCH.into());
    }
    rustix::thread::set_no_new_privs(true)?;
    setrlimit(Resource::Nofile, descriptors)?;
    // A core dump would hold page contents.
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    Ok(())
}
