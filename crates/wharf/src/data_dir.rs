//! What `wharf up` keeps on disk, and who holds it. A worker's directory is held the same way.
//!
//! | file | what |
//! |---|---|
//! | `lock` | locked by the process that uses the directory; holds its pid and address |
//! | `signing.key` | signs connect tokens and calls to workers |
//! | `verifying.key` | its public half, for workers and gateways on other machines |
//! | `api-key` | the key and project that `up` made on its first start |
//! | `database-url` | where this `up`'s Postgres is, for the administrator's commands; while it runs |
//! | `env` | what clients need, as `NAME=value` lines; while the service answers |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use wharf_domain::{ApiKey, ProjectId};
use wharf_protocol::SigningKey;

use crate::key_files;
use crate::private_file::{PRIVATE_FILE, read, write};

const PRIVATE_FOLDER: u32 = 0o700;
const DATABASE_URL: &str = "database-url";
const ENV: &str = "env";

/// A data directory that this process holds. Files that speak of a running service go when it is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Makes the directory if need be, and takes it.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_FOLDER)
            .create(path)
            .with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        let path = path.canonicalize()?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(PRIVATE_FILE)
            .open(path.join("lock"))
            .with_context(|| format!("the data directory {} cannot be written to", path.display()))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            lock.read_to_string(&mut holder)?;
            let holder = match holder.trim() {
                "" => "another process, which is just starting",
                holder => holder,
            };
            bail!(
                "the data directory {} is held by {}; stop that one, or choose another with --data-dir",
                path.display(),
                holder
            );
        }
        // The last holder's words, which would be taken for ours until we have an address.
        lock.set_len(0)?;
        let held = Self { path, lock };
        held.forget_running();
        Ok(held)
    }

    /// Says who holds the directory, for the next one that tries.
    pub(crate) fn hold_as(&mut self, holder: &str) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        writeln!(self.lock, "{holder}")
    }

    /// A path in the directory.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The signing key; made on the first start.
    pub(crate) fn signing_key(&self) -> anyhow::Result<SigningKey> {
        key_files::pair_in(&self.path)
    }

    /// The project and key of an earlier start.
    pub(crate) fn stored_key(&self) -> anyhow::Result<Option<(ProjectId, ApiKey)>> {
        let Some(text) = read(&self.join("api-key"))? else {
            return Ok(None);
        };
        let (project, key) = text.trim().split_once(' ').unwrap_or_default();
        // A damaged file is like none: a new key does no harm.
        Ok(project.parse().ok().zip(key.parse().ok()))
    }

    /// Keeps the project and key for later starts.
    pub(crate) fn store_key(&self, project: ProjectId, key: &ApiKey) -> anyhow::Result<()> {
        write(&self.join("api-key"), &format!("{project} {}\n", key.expose()))
    }

    /// Tells the administrator's commands where the database is.
    pub(crate) fn publish_database_url(&self, url: &str) -> anyhow::Result<()> {
        write(&self.join(DATABASE_URL), url)
    }

    /// Tells clients what they need. They wait for this file, so it appears only once the service answers.
    pub(crate) fn publish_env(
        &self,
        base_url: &str,
        project: ProjectId,
        key: &ApiKey,
    ) -> anyhow::Result<PathBuf> {
        let path = self.join(ENV);
        let lines = format!(
            "BROWSERBASE_BASE_URL={base_url}\nBROWSERBASE_API_KEY={}\nBROWSERBASE_PROJECT_ID={project}\n",
            key.expose()
        );
        write(&path, &lines)?;
        Ok(path)
    }

    fn forget_running(&self) {
        for name in [ENV, DATABASE_URL] {
            if let Err(error) = fs::remove_file(self.join(name))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "{name} in the data directory is out of date and cannot be removed");
            }
        }
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        self.forget_running();
    }
}

/// The database of the `up` that runs on this data directory, if one does.
pub(crate) fn database_url(data_dir: &Path) -> anyhow::Result<Option<String>> {
    read(&data_dir.join(DATABASE_URL))
}
