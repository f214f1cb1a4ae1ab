//! Where browsers keep their profiles: one fresh folder each, thrown away with the browser.

use crate::abandoned;
use crate::account::Account;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Memory-backed on every common distribution: launching is 1.2x faster there, and 1.5x with four at once.
const SHARED_MEMORY: &str = "/dev/shm";
/// Below this much free space in memory, a new profile goes to disk.
const MEMORY_NEEDED: u64 = 1 << 30;
/// Chromium keeps the shared memory of its processes in /dev/shm as well; in less than this it runs out.
const SHARED_MEMORY_NEEDED: u64 = 512 << 20;
const TMPFS_MAGIC: i64 = 0x0102_1994;
const PREFIX: &str = "wharf-";
/// What Chromium appends to TMPDIR for its unix socket; a longer whole than a socket address holds ends in a crash.
const SOCKET_BELOW: usize = "/org.chromium.Chromium.XXXXXX/SingletonSocket".len();
const SOCKET_ADDRESS: usize = 107;
/// A folder that is no link to one.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// The least of a name that must fit, enough to be unique in practice: the random end of a UUID.
const NAME_MINIMUM: usize = 12;

/// A profile folder or its parent cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The name of a folder may hold ASCII letters, digits, `-` and `_` only, and must not be empty.
    #[error("{0:?} cannot name a profile folder; use ASCII letters, digits, '-' and '_'")]
    Name(String),
    /// The socket Chromium makes below the folder would not fit a socket address.
    #[error("the folder for profiles {} has too long a path; choose one of at most 40 characters", .0.display())]
    PathTooLong(PathBuf),
    /// The file system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
}

/// The folder of this process for profiles, in memory where there is room and on disk where there is not.
///
/// Creating one removes what a killed predecessor left, browsers and folders: each root is locked by its owner for life.
#[derive(Debug)]
pub struct ProfileRoot {
    memory: Option<OwnedDirectory>,
    disk: OwnedDirectory,
}

impl ProfileRoot {
    /// Profiles in `/dev/shm` if it is memory-backed and has 1 GiB free at that launch, else below `disk`.
    ///
    /// # Errors
    /// `disk` cannot be created or written.
    pub fn choose(disk: &Path) -> Result<ProfileRoot, ProfileError> {
        let memory = Path::new(SHARED_MEMORY);
        let memory = match Space::of(memory).is_some_and(|space| space.tmpfs) {
            true => OwnedDirectory::create_below(memory).ok(),
            false => None,
        };
        Ok(ProfileRoot {
            memory,
            disk: OwnedDirectory::create_below(disk)?,
        })
    }

    /// Profiles below `folder`, whatever it is. The browser's user must be able to reach it.
    ///
    /// # Errors
    /// `folder` cannot be created or written.
    pub fn at(folder: &Path) -> Result<ProfileRoot, ProfileError> {
        Ok(ProfileRoot {
            memory: None,
            disk: OwnedDirectory::create_below(folder)?,
        })
    }

    /// A folder that is ours alone until it is handed over.
    pub(crate) fn create(&self, name: &str) -> Result<ProfileFolder, ProfileError> {
        let roomy = |directory: &&OwnedDirectory| {
            Space::of(&directory.path).is_some_and(|space| space.available >= MEMORY_NEEDED)
        };
        let root = self.memory.as_ref().filter(roomy).unwrap_or(&self.disk);
        ProfileFolder::create(&root.path.join(fit_name(&root.path, name)?))
    }
}

/// Whether Chromium must keep its shared memory elsewhere.
pub(crate) fn shared_memory_is_small() -> bool {
    Space::of(Path::new(SHARED_MEMORY)).is_none_or(|space| space.total < SHARED_MEMORY_NEEDED)
}

/// Where a jail shows the browser's folder. Named like one outside, so that whoever looks at processes sees whose it is.
pub(crate) fn jailed_folder(name: &str) -> Result<PathBuf, ProfileError> {
    check_name(name)?;
    Ok(PathBuf::from(format!("/{PREFIX}{}/{name}", std::process::id())))
}

fn check_name(name: &str) -> Result<(), ProfileError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match !name.is_empty() && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(ProfileError::Name(name.to_owned())),
    }
}

/// Keeps the end of a name that is too long for the socket below it: the end is what differs between sessions.
fn fit_name<'a>(root: &Path, name: &'a str) -> Result<&'a str, ProfileError> {
    check_name(name)?;
    let room = SOCKET_ADDRESS.saturating_sub(SOCKET_BELOW + root.as_os_str().len() + 1);
    if room < name.len().min(NAME_MINIMUM) {
        return Err(ProfileError::PathTooLong(root.to_owned()));
    }
    Ok(&name[name.len().saturating_sub(room)..])
}

/// One browser's folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct ProfileFolder(PathBuf);

impl ProfileFolder {
    fn create(path: &Path) -> Result<ProfileFolder, ProfileError> {
        DirBuilder::new()
            .mode(0o700)
            .create(path)
            .map_err(failed("create", path))?;
        // Without symbolic links, as the kernel shows it to those who look for a process by its directory.
        Ok(ProfileFolder(
            path.canonicalize().map_err(failed("resolve", path))?,
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it to the browser's user. From then on what lies in it is that user's word: nothing is to be written there,
    /// and what is read is read by [`ProfileFolder::take`].
    pub(crate) fn hand_over(&self, account: &Account) -> Result<(), ProfileError> {
        let given = self.open().and_then(|folder| account.own(&folder));
        given.map_err(failed("give to the browser's user", &self.0))
    }

    /// Puts a file into it, for the browser's user alone. To be done before the folder is handed over; follows no link all
    /// the same, and writes over nothing.
    pub(crate) fn put(&self, below: &Path, content: &[u8], account: &Account) -> Result<(), ProfileError> {
        let put = || -> std::io::Result<()> {
            let mut folder = self.open()?;
            for part in below.parent().into_iter().flatten() {
                let made = mkdirat(&folder, part, Mode::RWXU);
                let inner = openat(&folder, part, FOLDER, Mode::empty())?;
                match made {
                    Ok(()) => account.own(&inner)?,
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                folder = inner;
            }
            let name = below.file_name().unwrap_or_default();
            let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(openat(&folder, name, new, Mode::RUSR | Mode::WUSR)?);
            file.write_all(content)?;
            account.own(&file)
        };
        put().map_err(failed("write", &self.0.join(below)))
    }

    /// What this user has left in a file of it: a plain file of its own, of `most` bytes. Anything else is refused, a link
    /// to what only we may read above all; nothing that is put there can make us wait.
    pub(crate) fn take(&self, name: &str, most: u64, account: &Account) -> std::io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(self.open()?, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.uid() != account.user() {
            return Err(std::io::Error::other(format!(
                "{name} is not a file of the browser's user"
            )));
        }
        let mut content = Vec::new();
        file.take(most + 1).read_to_end(&mut content)?;
        match u64::try_from(content.len()).is_ok_and(|length| length <= most) {
            true => Ok(content),
            false => Err(std::io::Error::other(format!(
                "{name} is larger than {most} bytes"
            ))),
        }
    }

    fn open(&self) -> std::io::Result<OwnedFd> {
        Ok(openat(CWD, &self.0, FOLDER, Mode::empty())?)
    }

    /// Removes the folder now. Blocks; follows no symbolic link that a page may have had made.
    pub(crate) fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

impl Drop for ProfileFolder {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(folder = %self.0.display(), %error, "cannot remove a profile; the next start will try again");
        }
    }
}

/// A directory nobody else uses while we hold its lock. The kernel drops the lock when we die, however we die.
#[derive(Debug)]
struct OwnedDirectory {
    path: PathBuf,
    _lock: File,
}

impl OwnedDirectory {
    fn create_below(parent: &Path) -> Result<OwnedDirectory, ProfileError> {
        std::fs::create_dir_all(parent).map_err(failed("create", parent))?;
        sweep(parent);
        let own = std::process::id();
        let mut names = std::iter::once(format!("{PREFIX}{own}"))
            .chain((1..).map(|number: u32| format!("{PREFIX}{own}.{number}")));
        loop {
            let path = parent.join(names.next().unwrap_or_default());
            // Others may pass through, for the browser's user must, but not look around.
            match DirBuilder::new().mode(0o711).create(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                result => result.map_err(failed("create", &path))?,
            }
            // A sweeper may have taken the new directory for an abandoned one before we locked it.
            if let Some(lock) = lock(&path) {
                return Ok(OwnedDirectory { path, _lock: lock });
            }
        }
    }
}

impl Drop for OwnedDirectory {
    fn drop(&mut self) {
        // Fails when a browser still has its folder in it; then the next start sweeps it.
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Ends the browsers of dead owners, if any live, and removes their directories. Best effort: what cannot be removed now waits for the next start.
fn sweep(parent: &Path) {
    let own_user = rustix::process::geteuid().as_raw();
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == own_user);
        let Some(_lock) = ours.then(|| lock(&entry.path())).flatten() else {
            continue;
        };
        abandoned::end_processes(&entry.path());
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(folder = %entry.path().display(), %error, "cannot remove abandoned profiles");
        }
    }
}

/// Locks a directory, or answers `None` if somebody else has it or it is gone.
fn lock(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
    }
    let (locked, named) = (file.metadata().ok()?, path.metadata().ok()?);
    ((locked.dev(), locked.ino()) == (named.dev(), named.ino())).then_some(file)
}

#[derive(Debug)]
struct Space {
    tmpfs: bool,
    total: u64,
    available: u64,
}

impl Space {
    fn of(path: &Path) -> Option<Space> {
        let stat = rustix::fs::statfs(path).ok()?;
        let block = u64::try_from(stat.f_bsize).ok()?;
        Some(Space {
            tmpfs: stat.f_type == TMPFS_MAGIC,
            total: stat.f_blocks.saturating_mul(block),
            available: stat.f_bavail.saturating_mul(block),
        })
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ProfileError {
    let path = path.to_owned();
    move |source| ProfileError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
