//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::Exit;

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The folder was made by a major version that is not installed.
    #[error(
        "{} was made by PostgreSQL {needed}, but this machine has {found}: install it \
         (\"apt install postgresql-{needed}\"), or move the folder away to start empty",
        data_dir.display()
    )]
    VersionMissing {
        /// The cluster's folder.
        data_dir: PathBuf,
        /// The major version in its `PG_VERSION`.
        needed: u32,
        /// The major versions found, as text.
        found: String,
    },
    /// The folder holds files, but no whole cluster. We delete nothing that we did not make.
    #[error("{} is not empty and holds no PostgreSQL cluster ({missing} is missing): name an empty folder", data_dir.display())]
    NotACluster {
        /// The folder.
        data_dir: PathBuf,
        /// The file by which we tell.
        missing: &'static str,
    },
    /// The folder belongs to an account that we cannot, or will not, run as.
    #[error(
        "{} belongs to {owner}, but PostgreSQL would run as {expected}: run `chown -R {expected} {0}`, \
         or name another folder",
        data_dir.display()
    )]
    WrongOwner {
        /// The cluster's folder.
        data_dir: PathBuf,
        /// The account that owns it.
        owner: String,
        /// The account that it should belong to.
        expected: String,
    },
    /// We are root, which PostgreSQL refuses, and there is no account to change to.
    #[error(
        "PostgreSQL refuses to run as root, and /etc/passwd has neither \"postgres\" nor \"nobody\": add one of them"
    )]
    NoAccount,
    /// Another process of ours runs a server on the folder.
    #[error("{} is in use by process {holder}{}: stop that one first", data_dir.display(), also(*postmaster))]
    InUse {
        /// The cluster's folder.
        data_dir: PathBuf,
        /// The process that holds the lock, as it wrote it.
        holder: String,
        /// The pid of its PostgreSQL, when it runs.
        postmaster: Option<i32>,
    },
    /// A server that nobody owns any more has not ended.
    #[error(
        "a PostgreSQL server (process {pid}) is still running on {} after {waited:?}: \
         end it with `kill -INT {pid}`, then start again", data_dir.display()
    )]
    PreviousServer {
        /// The cluster's folder.
        data_dir: PathBuf,
        /// The server's pid.
        pid: i32,
        /// How long we waited.
        waited: Duration,
    },
    /// A setting that this crate needs for itself was given by the caller.
    #[error("the setting {name} cannot be changed: the server's safety or its start depends on it")]
    ReservedSetting {
        /// Its name.
        name: String,
    },
    /// A program did not run at all.
    #[error("{} did not run as {account}: {source}; that account must be able to read and execute it", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The account.
        account: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended before its work was done.
    #[error("{program} ended early ({exit}); the last of its output is below, all of it is in {}\n{tail}", log.display())]
    Exited {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// How it ended.
        exit: Exit,
        /// The whole output.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// A program took too long.
    #[error(
        "{program} was not done after {waited:?} and was ended; see {}. A long recovery needs a larger \
         `start_deadline`; a full or slow disk needs attention first. Its last output:\n{tail}", log.display()
    )]
    Deadline {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// The deadline.
        waited: Duration,
        /// The whole output.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}; check the folder's permissions and free space", path.display())]
    Io {
        /// What we were doing.
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn also(postmaster: Option<i32>) -> String {
    postmaster.map_or_else(String::new, |pid| format!(" (its PostgreSQL is process {pid})"))
}

impl StartError {
    pub(crate) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// Why a stop was not a clean one. Committed data is safe in every case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The server had ended before, or ended with an error.
    #[error("PostgreSQL ended by itself or with an error ({exit}); the next start recovers; see {}", log.display())]
    Unclean {
        /// How it ended.
        exit: Exit,
        /// Where to read why.
        log: PathBuf,
    },
    /// The fast shutdown took too long and was cut short.
    #[error("PostgreSQL did not shut down in {waited:?} and was ended at once; the next start recovers; see {}", log.display())]
    Forced {
        /// How long we waited for the fast shutdown.
        waited: Duration,
        /// Where to read why.
        log: PathBuf,
    },
    /// Not even the immediate shutdown ended it.
    #[error("PostgreSQL (process {pid}) does not end; look for a stuck disk, then `kill -9 {pid}`; see {}", log.display())]
    StillRunning {
        /// Its pid.
        pid: i32,
        /// Where to read why.
        log: PathBuf,
    },
}
