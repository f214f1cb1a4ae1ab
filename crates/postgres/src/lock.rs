//! One server per folder.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// An exclusive lock on the file beside the cluster. The kernel gives it up when our process dies, which tells a
/// server that is ours to wait for (nobody holds the lock) from one in use.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

/// Why the lock was not taken.
pub(crate) enum NotLocked {
    /// What its holder wrote: its pid.
    Held(String),
    Io(io::Error),
}

impl FolderLock {
    pub(crate) fn take(path: &Path) -> Result<Self, NotLocked> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(NotLocked::Io)?;
                return Err(NotLocked::Held(holder.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(NotLocked::Io(error)),
        }
        write_pid(&mut file).map_err(NotLocked::Io)?;
        Ok(Self(file))
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is about to start may hold a copy of the descriptor,
        // and with it the lock, until it executes its program.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the PostgreSQL folder was not given up");
        }
    }
}
