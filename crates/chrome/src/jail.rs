//! The jail of a browser: namespaces of its own, almost nothing to read, and no way out but the one we listen on.
//!
//! Bubblewrap builds it, as any user and without root. Inside, our own program is the first process (`init.rs`): it
//! starts Chromium and is the *ambassador*. It opens sockets in the jail's network namespace and passes their
//! descriptors to us over a unix socket, so we speak to Chromium's DevTools, and take the connections of its proxy,
//! without a hop between. The kernel ends everything inside when the first process ends, and that one with us.

mod ambassador;
mod arguments;
mod init;
mod wire;

pub(crate) use ambassador::{Ambassador, Hello};
use arguments::LOCAL_TIME;
pub(crate) use arguments::{FIRST_FILE, Jailed, PROXY_PORT, command_line, memory_file_systems};

use crate::error::{hint, last_words};
use crate::program;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

const BUBBLEWRAP: &str = "bwrap";

/// The first argument of a program that is to be the first process of a jail.
const INIT: &str = "jail-init";

/// The program that is started inside each jail as its first process: one whose `main` begins with [`init_if_asked`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitProgram(PathBuf);

impl InitProgram {
    /// This program.
    pub fn at(path: impl Into<PathBuf>) -> InitProgram {
        InitProgram(path.into())
    }

    /// The running program.
    ///
    /// # Errors
    /// The system does not say which that is.
    pub fn own() -> std::io::Result<InitProgram> {
        std::env::current_exe().map(InitProgram)
    }
}

/// Is the first process of a jail, if this program was started as one; its exit code is then the browser's. To be called
/// before the arguments are parsed: behind ours are a browser's.
pub fn init_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|first| first == INIT);
    asked.then(|| init::main(arguments))
}

/// A machine without what a jail is built of.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// Bubblewrap is not installed.
    #[error(
        "no {BUBBLEWRAP} in PATH, which builds the jail of a browser: install it (\"apt install bubblewrap\")"
    )]
    NoBubblewrap,
    /// The machine does not let one stand.
    #[error("a browser cannot have a jail on this machine{}{}. Or choose a weaker wall with --isolation process", hint(.0), last_words(.0))]
    Refused(Vec<String>),
    /// Whether one would stand could not be found out.
    #[error("cannot try out a jail")]
    Check(#[source] std::io::Error),
    /// The first process's program cannot be read.
    #[error("cannot open {}, which is started inside each jail", .0.display())]
    Init(PathBuf, #[source] std::io::Error),
}

impl JailError {
    pub(crate) fn refused(stderr: Vec<String>) -> JailError {
        JailError::Refused(stderr)
    }
}

/// What stands in a browser's place when a jail is tried out: a program that makes a user namespace within the jail, as
/// Chromium's sandbox does, and a process in it.
pub(crate) fn probe() -> (PathBuf, Vec<String>) {
    let arguments = ["--user", "--pid", "--net", "--fork", "/bin/true"];
    (
        PathBuf::from("/usr/bin/unshare"),
        arguments.map(str::to_owned).to_vec(),
    )
}

/// What jails are built with.
#[derive(Debug)]
pub(crate) struct Builder {
    pub(crate) bubblewrap: PathBuf,
    /// Open, because the browser's user may not be able to reach its path.
    pub(crate) init: File,
    /// Of this machine; without one it is UTC.
    pub(crate) time_zone: Option<PathBuf>,
}

impl Builder {
    pub(crate) fn new(init: InitProgram) -> Result<Builder, JailError> {
        Ok(Builder {
            bubblewrap: program::in_path(BUBBLEWRAP).ok_or(JailError::NoBubblewrap)?,
            init: File::open(&init.0).map_err(|source| JailError::Init(init.0, source))?,
            time_zone: std::fs::read_link(LOCAL_TIME).ok(),
        })
    }
}

/// A descriptor from which this can be read.
///
/// # Errors
/// There are no descriptors or no memory left.
pub(crate) fn in_memory(content: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("wharf-file", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

/// Our end of a new ambassador's socket, which does not block, and the jail's.
///
/// # Errors
/// There are no descriptors left.
pub(crate) fn socket_pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, inside) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, inside))
}
