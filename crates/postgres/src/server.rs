//! A running server, from its start to its end.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Signal;

use crate::account::RunAs;
use crate::cluster::{Place, State, deadline, exited, launch};
use crate::error::{StartError, StopError};
use crate::lock::{FolderLock, NotLocked};
use crate::log::{LogFile, Progress};
use crate::previous::{Waited, noted_pid, wait_for_end};
use crate::process::{Exit, Process, Program, folder_argument};
use crate::settings::{Options, arguments};

/// A fast shutdown ends sessions and writes a checkpoint; past this the disk is stuck or very slow. Also how long
/// a start waits for the server of an earlier process of ours.
const FAST_SHUTDOWN: Duration = Duration::from_secs(30);

/// PostgreSQL kills its own children 5 s into an immediate shutdown.
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(10);

/// A unix socket's path has 108 bytes in Linux, the last of them zero: unix(7).
const LONGEST_SOCKET_PATH: usize = 107;

/// By which name clients look for it in the folder they are told.
const SOCKET: &str = "/.s.PGSQL.5432";

/// A server that accepts connections. Dropping it sends the immediate shutdown signal and does not wait;
/// committed data is safe, but the next start recovers. Prefer [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    // Fields are dropped in this order: the lock outlives the signal.
    process: Process,
    log: PathBuf,
    socket_folder: String,
    /// Open for as long as `socket_folder` may lead through it.
    _folder: OwnedFd,
    _lock: FolderLock,
}

/// Makes the cluster if the folder is empty, and starts its server. Returns when it accepts connections.
///
/// As root the programs run as `postgres`, else `nobody`, without capabilities. If the folder's server is still
/// shutting down, because the process that ran it was killed, it is waited for (30 s at most). Cancelling the
/// future ends whatever was started. Needs a Tokio runtime with I/O and time; does short file work on its thread.
///
/// # Errors
/// Each variant of [`StartError`] says what to do; those of the programs name the log.
pub async fn start(options: Options) -> Result<Server, StartError> {
    let settings = arguments(&options)?;
    let place = Place::prepare(&options.data_dir)?;
    let lock = lock(&place)?;
    let log_path = place.beside(".log");
    let log = LogFile::open(&log_path).map_err(|error| StartError::io("open", &log_path, error))?;
    let (folder, major, run_as) = cluster(&place, &options, &log).await?;
    let binaries = options
        .binaries
        .folder_for(major)
        .ok_or_else(|| StartError::VersionMissing {
            data_dir: place.data_dir.clone(),
            needed: major,
            found: options.binaries.majors(),
        })?;
    let kept = folder
        .try_clone()
        .map_err(|error| StartError::io("open", &place.data_dir, error))?;
    let data_dir = ["-D".to_owned(), folder_argument(&folder)];
    let program = Program {
        path: binaries.join("postgres"),
        arguments: data_dir.into_iter().chain(settings).map(Into::into).collect(),
        run_as,
        folder,
        // When we die the server has no clients worth waiting for, but time to write its checkpoint.
        signal_on_death: Signal::INT,
        signal_on_drop: Signal::QUIT,
    };
    let process = launch_until_ready(program, &options, &log).await?;
    tracing::debug!(pid = process.pid(), data_dir = %place.data_dir.display(), "PostgreSQL is ready");
    let socket_folder = socket_folder(&place.data_dir, &kept);
    Ok(Server {
        process,
        log: log.path,
        socket_folder,
        _folder: kept,
        _lock: lock,
    })
}

impl Server {
    /// For the superuser `postgres` and the database `postgres`: see [`Server::url_for`].
    pub fn url(&self) -> String {
        self.url_for("postgres", "postgres")
    }

    /// A URL for sqlx and libpq, over the unix socket, without a password.
    ///
    /// The socket's folder is the cluster's own. Where its path is too long for a socket's address, or not UTF-8,
    /// the URL leads through `/proc/<our pid>/fd`: other processes of our user, and root's, may follow that too
    /// for as long as this server lives.
    pub fn url_for(&self, database: &str, user: &str) -> String {
        let [user, database, folder] =
            [user, database, &self.socket_folder].map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC));
        // The port is part of the socket's name; both it and sslmode would else come from PG* variables.
        format!("postgres://{user}@localhost:5432/{database}?host={folder}&sslmode=disable")
    }

    /// The server's main process.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// The file that the server's messages go to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns when the server has ended, for whatever reason. Cancel-safe.
    pub async fn exited(&mut self) -> Exit {
        self.process.exited().await
    }

    /// Ends every session, writes a checkpoint and waits for the end; after 30 s shuts down at once instead.
    ///
    /// # Errors
    /// When it was no clean end. The data is safe even then, and no process is left unless the error says so.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.process.signal(Signal::INT);
        if let Ok(exit) = tokio::time::timeout(FAST_SHUTDOWN, self.process.exited()).await {
            return match exit.success() {
                true => Ok(()),
                false => Err(StopError::Unclean {
                    exit,
                    log: self.log.clone(),
                }),
            };
        }
        self.process.signal(Signal::QUIT);
        match tokio::time::timeout(IMMEDIATE_SHUTDOWN, self.process.exited()).await {
            Ok(_) => Err(StopError::Forced {
                waited: FAST_SHUTDOWN,
                log: self.log.clone(),
            }),
            Err(_) => Err(StopError::StillRunning {
                pid: self.pid(),
                log: self.log.clone(),
            }),
        }
    }
}

fn lock(place: &Place) -> Result<FolderLock, StartError> {
    let path = place.beside(".lock");
    FolderLock::take(&path).map_err(|not_locked| match not_locked {
        NotLocked::Io(error) => StartError::io("lock", &path, error),
        NotLocked::Held(holder) => {
            let folder = crate::cluster::open_folder(&place.data_dir).ok();
            let postmaster = folder.and_then(|folder| noted_pid(&folder).ok().flatten());
            StartError::InUse {
                data_dir: place.data_dir.clone(),
                holder,
                postmaster,
            }
        }
    })
}

/// The cluster's folder, made if need be, and free of any earlier server.
async fn cluster(
    place: &Place,
    options: &Options,
    log: &LogFile,
) -> Result<(OwnedFd, u32, RunAs), StartError> {
    let (state, run_as) = place.inspect()?;
    match state {
        State::Empty => {
            let folder = place.initialise(options, &run_as, log).await?;
            Ok((folder, options.binaries.major(), run_as))
        }
        State::Cluster { folder, major } => {
            let waited = wait_for_end(&folder, FAST_SHUTDOWN)
                .await
                .map_err(|error| StartError::io("look for a running server in", &place.data_dir, error))?;
            if let Waited::StillRunning(pid) = waited {
                let data_dir = place.data_dir.clone();
                return Err(StartError::PreviousServer {
                    data_dir,
                    pid,
                    waited: FAST_SHUTDOWN,
                });
            }
            Ok((folder, major, run_as))
        }
    }
}

async fn launch_until_ready(
    program: Program,
    options: &Options,
    log: &LogFile,
) -> Result<Process, StartError> {
    let mut process = launch(program, log).await?;
    let mut progress = process.progress.clone();
    let ready = progress.wait_for(|progress| *progress != Progress::Starting);
    let finished = tokio::time::timeout(options.start_deadline, async {
        tokio::select! {
            _ = ready => None,
            exit = process.exited() => Some(exit),
        }
    })
    .await;
    let exit = match finished {
        Err(_) => return Err(deadline("postgres", &process, options, log)),
        Ok(None) if *progress.borrow() == Progress::Ready => return Ok(process),
        // Its output has ended, so it has, or is about to.
        Ok(None) => process.exited().await,
        Ok(Some(exit)) => exit,
    };
    Err(exited("postgres", exit, &mut process, log).await)
}

/// Where clients find the socket: see [`Server::url_for`].
fn socket_folder(data_dir: &Path, folder: &OwnedFd) -> String {
    match data_dir.to_str() {
        Some(path) if path.len() + SOCKET.len() <= LONGEST_SOCKET_PATH => path.to_owned(),
        _ => format!("/proc/{}/fd/{}", std::process::id(), folder.as_raw_fd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_just_fits_is_used_as_it_is() {
        let folder = crate::cluster::open_folder(Path::new("/")).unwrap();
        let fits = format!("/{}", "x".repeat(LONGEST_SOCKET_PATH - SOCKET.len() - 1));
        assert_eq!(socket_folder(Path::new(&fits), &folder), fits);
        let long = format!("{fits}x");
        let short = format!("/proc/{}/fd/{}", std::process::id(), folder.as_raw_fd());
        assert_eq!(socket_folder(Path::new(&long), &folder), short);
    }
}
