//! The cluster's folder: what is in it, and how it is made.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::process::Signal;

use crate::account::RunAs;
use crate::error::StartError;
use crate::log::{LogFile, Progress};
use crate::previous::read_small;
use crate::process::{Process, Program, folder_argument};
use crate::settings::{Durability, Options};

/// The programs' last output may arrive just after their end; a child that kept the pipe may hold it for longer.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// The cluster's folder and what lies beside it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) data_dir: PathBuf,
    parent: PathBuf,
    name: OsString,
}

/// What a start finds.
pub(crate) enum State {
    /// Nothing there yet.
    Empty,
    /// A whole cluster.
    Cluster { folder: OwnedFd, major: u32 },
}

impl Place {
    /// Makes the parent folder, and follows links: the cluster is renamed into place, beside the real one.
    pub(crate) fn prepare(data_dir: &Path) -> Result<Self, StartError> {
        let failed = |action| move |error: io::Error| StartError::io(action, data_dir, error);
        let absolute = std::path::absolute(data_dir).map_err(failed("resolve"))?;
        let data_dir = absolute.canonicalize().unwrap_or(absolute);
        let (Some(parent), Some(name)) = (data_dir.parent(), data_dir.file_name()) else {
            return Err(StartError::NotACluster {
                data_dir,
                missing: "PG_VERSION",
            });
        };
        fs::create_dir_all(parent).map_err(|error| StartError::io("create", parent, error))?;
        let parent = parent
            .canonicalize()
            .map_err(|error| StartError::io("resolve", parent, error))?;
        Ok(Self {
            data_dir: parent.join(name),
            name: name.to_owned(),
            parent,
        })
    }

    /// The file `<name><suffix>` in the parent folder.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(suffix);
        self.parent.join(name)
    }

    /// A cluster in the making has this and a random ending.
    fn unfinished_prefix(&self) -> OsString {
        let mut prefix = OsString::from(".");
        prefix.push(&self.name);
        prefix.push(".initdb-");
        prefix
    }

    /// Looks at the folder, and at whom it needs as its owner.
    pub(crate) fn inspect(&self) -> Result<(State, RunAs), StartError> {
        let failed = |error| StartError::io("read", &self.data_dir, error);
        let metadata = match fs::metadata(&self.data_dir) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((State::Empty, RunAs::choose(None)?));
            }
            Err(error) => return Err(failed(error)),
        };
        // Not readable means somebody else's, as the check of the owner says in words.
        if fs::read_dir(&self.data_dir).is_ok_and(|mut entries| entries.next().is_none()) {
            return Ok((State::Empty, RunAs::choose(None)?));
        }
        let run_as = RunAs::choose(Some(metadata.uid()))?;
        run_as.check_owner(&self.data_dir, &metadata)?;
        let folder = open_folder(&self.data_dir)?;
        let missing = |missing| StartError::NotACluster {
            data_dir: self.data_dir.clone(),
            missing,
        };
        let version = read_small(&folder, "PG_VERSION").map_err(failed)?;
        let major = version
            .and_then(|text| text.trim().parse().ok())
            .ok_or(missing("PG_VERSION"))?;
        // initdb writes this one late; without it no server starts.
        rustix::fs::statat(&folder, "global/pg_control", rustix::fs::AtFlags::empty())
            .map_err(|_| missing("global/pg_control"))?;
        Ok((State::Cluster { folder, major }, run_as))
    }

    /// Runs `initdb` in a folder beside the final one and renames it when it is whole, so that an interruption
    /// never leaves half a cluster under the final name.
    pub(crate) async fn initialise(
        &self,
        options: &Options,
        run_as: &RunAs,
        log: &LogFile,
    ) -> Result<OwnedFd, StartError> {
        self.remove_unfinished();
        match self.attempt("C.UTF-8", options, run_as, log).await {
            // Sorts by code point like the other, but knows the classes of ASCII letters only. Older musl needs it.
            Err(error) if is_unknown_locale(&error) => self.attempt("C", options, run_as, log).await,
            done => done,
        }
    }

    async fn attempt(
        &self,
        locale: &str,
        options: &Options,
        run_as: &RunAs,
        log: &LogFile,
    ) -> Result<OwnedFd, StartError> {
        let unfinished = tempfile::Builder::new()
            .prefix(&self.unfinished_prefix())
            .tempdir_in(&self.parent)
            .map_err(|error| StartError::io("create a folder in", &self.parent, error))?;
        initdb(unfinished.path(), locale, options, run_as, log).await?;
        self.put_in_place(unfinished, options.durability)
    }

    fn put_in_place(
        &self,
        unfinished: tempfile::TempDir,
        durability: Durability,
    ) -> Result<OwnedFd, StartError> {
        fs::rename(unfinished.path(), &self.data_dir)
            .map_err(|error| StartError::io("rename the new cluster to", &self.data_dir, error))?;
        // Nothing is left under that name to remove.
        let _ = unfinished.keep();
        if durability == Durability::Durable {
            let parent = open_folder(&self.parent)?;
            rustix::fs::fsync(parent).map_err(|error| StartError::io("synchronise", &self.parent, error))?;
        }
        open_folder(&self.data_dir)
    }

    /// What an interrupted `initdb` left. Nobody else can be at work on one, since we hold the folder's lock.
    fn remove_unfinished(&self) {
        let prefix = self.unfinished_prefix();
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            if !entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(prefix.as_encoded_bytes())
            {
                continue;
            }
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => {
                    tracing::info!(path = %entry.path().display(), "removed a half-made PostgreSQL cluster");
                }
                // It only takes room: the next one gets another name.
                Err(error) => {
                    tracing::warn!(path = %entry.path().display(), %error, "a half-made PostgreSQL cluster stays");
                }
            }
        }
    }
}

pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd, StartError> {
    rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| StartError::io("open", path, error))
}

async fn initdb(
    unfinished: &Path,
    locale: &str,
    options: &Options,
    run_as: &RunAs,
    log: &LogFile,
) -> Result<(), StartError> {
    let folder = open_folder(unfinished)?;
    if let RunAs::Change(account) = run_as {
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        rustix::fs::fchown(&folder, Some(uid), Some(gid))
            .map_err(|error| StartError::io("change the owner of", unfinished, error))?;
    }
    let program = Program {
        path: options.binaries.folder().join("initdb"),
        arguments: initdb_arguments(&folder, locale, options.durability),
        run_as: run_as.clone(),
        folder,
        // Half a cluster is worth nothing: no need to be gentle.
        signal_on_death: Signal::KILL,
        signal_on_drop: Signal::KILL,
    };
    let mut process = launch(program, log).await?;
    let Ok(exit) = tokio::time::timeout(options.start_deadline, process.exited()).await else {
        return Err(deadline("initdb", &process, options, log));
    };
    if exit.success() {
        return Ok(());
    }
    Err(exited("initdb", exit, &mut process, log).await)
}

fn initdb_arguments(folder: &OwnedFd, locale: &str, durability: Durability) -> Vec<OsString> {
    let mut arguments = vec![
        format!("--pgdata={}", folder_argument(folder)),
        "--username=postgres".to_owned(),
        "--encoding=UTF8".to_owned(),
        format!("--locale={locale}"),
        // Whoever can open the socket may do anything; the folder's mode decides who can.
        "--auth=trust".to_owned(),
        "--no-instructions".to_owned(),
    ];
    if durability == Durability::Throwaway {
        arguments.push("--no-sync".to_owned());
    }
    arguments.into_iter().map(OsString::from).collect()
}

fn is_unknown_locale(error: &StartError) -> bool {
    matches!(error, StartError::Exited { tail, .. } if tail.contains("invalid locale name"))
}

pub(crate) async fn launch(program: Program, log: &LogFile) -> Result<Process, StartError> {
    let (path, account) = (program.path.clone(), program.run_as.account().to_string());
    let output = log
        .try_clone()
        .map_err(|error| StartError::io("open", &log.path, error))?;
    Process::spawn(program, output)
        .await
        .map_err(|source| StartError::Spawn {
            program: path,
            account,
            source,
        })
}

pub(crate) fn deadline(
    program: &'static str,
    process: &Process,
    options: &Options,
    log: &LogFile,
) -> StartError {
    let tail = process.tail.text();
    StartError::Deadline {
        program,
        waited: options.start_deadline,
        log: log.path.clone(),
        tail,
    }
}

pub(crate) async fn exited(
    program: &'static str,
    exit: crate::process::Exit,
    process: &mut Process,
    log: &LogFile,
) -> StartError {
    let closed = process
        .progress
        .wait_for(|progress| *progress == Progress::Closed);
    // Past the limit the message has the lines that came in time; the log gets them all.
    let _ = tokio::time::timeout(LAST_OUTPUT, closed).await;
    StartError::Exited {
        program,
        exit,
        log: log.path.clone(),
        tail: process.tail.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// /usr is root's: an ordinary user does not own it, and root does not run PostgreSQL as root.
    #[test]
    fn a_folder_of_another_account_names_both() {
        let place = Place::prepare(Path::new("/usr")).unwrap();
        let Err(error) = place.inspect() else {
            panic!("taken for ours")
        };
        assert!(
            matches!(&error, StartError::WrongOwner { owner, .. } if owner == "root"),
            "{error}"
        );
        assert!(error.to_string().contains("run `chown -R"), "{error}");
    }

    #[test]
    fn the_root_folder_is_refused() {
        assert!(matches!(
            Place::prepare(Path::new("/")),
            Err(StartError::NotACluster { .. })
        ));
    }
}
