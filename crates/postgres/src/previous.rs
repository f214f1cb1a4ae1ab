//! A server that an earlier process of ours left behind, on its way out.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};

#[cfg(test)]
mod tests;

/// The largest file we read from the cluster's folder is postmaster.pid, of some 100 bytes.
const SMALL: u64 = 4096;

/// The server's own note of who it is.
const PID_FILE: &str = "postmaster.pid";

/// Reads a small file of the folder, `None` when it is absent. The folder's owner has fewer rights than we may
/// have, so a link is not followed and a pipe does not block.
pub(crate) fn read_small(folder: &OwnedFd, name: &str) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut text = String::new();
    file.take(SMALL).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// The pid in the folder's postmaster.pid, whether or not such a process lives.
pub(crate) fn noted_pid(folder: &OwnedFd) -> io::Result<Option<i32>> {
    let text = read_small(folder, PID_FILE)?;
    Ok(text
        .and_then(|text| text.lines().next()?.trim().parse().ok())
        .filter(|pid| *pid > 0))
}

/// How the wait for an earlier server ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// No process of it is left.
    Ended,
    /// This one is.
    StillRunning(i32),
}

/// Waits for the end of the folder's server and of children that outlived it. A note whose pid now belongs to a
/// stranger is removed, since PostgreSQL would refuse to start for its sake; that is safe while we hold the
/// folder's lock.
pub(crate) async fn wait_for_end(folder: &OwnedFd, patience: Duration) -> io::Result<Waited> {
    let Some(noted) = noted_pid(folder)? else {
        return Ok(Waited::Ended);
    };
    let servers = servers_of(folder)?;
    if exists(noted) && servers.iter().all(|(pid, _)| *pid != noted) {
        remove_note(folder, noted)?;
    }
    let deadline = Instant::now() + patience;
    for (pid, descriptor) in servers {
        tracing::info!(
            pid,
            "waiting for a process of the previous PostgreSQL server to end"
        );
        #[expect(unsafe_code, reason = "tokio 1.54 deprecated the safe constructors")]
        // SAFETY: an OwnedFd stays open, and the same, until the AsyncFd that owns it drops it.
        let descriptor = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
        match timeout_at(deadline, descriptor.readable()).await {
            Ok(ended) => ended.map(drop)?,
            Err(_) => return Ok(Waited::StillRunning(pid)),
        }
    }
    Ok(Waited::Ended)
}

fn exists(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).is_ok())
}

fn remove_note(folder: &OwnedFd, pid: i32) -> io::Result<()> {
    tracing::info!(
        pid,
        "the PostgreSQL folder names a process that is not its server; note removed"
    );
    match rustix::fs::unlinkat(folder, PID_FILE, AtFlags::empty()) {
        // The server's last act is to remove it.
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The running processes of the folder's server.
fn servers_of(folder: &OwnedFd) -> io::Result<Vec<(i32, OwnedFd)>> {
    let mut servers = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if !is_named_postgres(pid) {
            continue;
        }
        let Some(process) = Pid::from_raw(pid) else {
            continue;
        };
        // The descriptor before the look: what we then learn of the number is about this process, or about none.
        match rustix::process::pidfd_open(process, PidfdFlags::NONBLOCK) {
            Ok(descriptor) if is_server_of(folder, pid)? => servers.push((pid, descriptor)),
            Ok(_) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(servers)
}

fn is_named_postgres(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "postgres")
}

/// Every server process works in its cluster's folder. Where we may not look (root in a container without
/// `CAP_SYS_PTRACE`), the process that the folder notes counts when it belongs to the folder's owner.
fn is_server_of(folder: &OwnedFd, pid: i32) -> io::Result<bool> {
    let named =
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "postgres");
    if !named {
        return Ok(false);
    }
    let cluster = rustix::fs::fstat(folder)?;
    match fs::metadata(format!("/proc/{pid}/cwd")) {
        Ok(cwd) => Ok((cwd.dev(), cwd.ino()) == (cluster.st_dev, cluster.st_ino)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let owners =
                fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == cluster.st_uid);
            Ok(owners && noted_pid(folder)? == Some(pid))
        }
        // A process that has ended but was not collected yet has no folder.
        Err(_) => Ok(false),
    }
}
