//! Starting a browser and waiting until it is ready.

use crate::account::Account;
use crate::binary::BrowserBinary;
use crate::browser::Browser;
use crate::error::{LaunchError, LauncherError};
use crate::flags::{self, FlagOptions, Isolation, Viewport};
use crate::process::become_subreaper;
use crate::profile::{self, ProfileFolder, ProfileRoot};
use crate::running::{Running, Unready};
use crate::spawner::{self, SpawnRequest, Spawned, Spawner};
use crate::{cdp::CdpPipe, procfs};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::Instant;

/// What every browser of a launcher has in common.
#[derive(Debug)]
pub struct LauncherOptions {
    /// From [`crate::find_browser`].
    pub binary: BrowserBinary,
    /// Which walls stand.
    pub isolation: Isolation,
    /// Where profiles live.
    pub profiles: ProfileRoot,
    /// The user browsers run as when we are root; without effect otherwise. `nobody` exists everywhere.
    pub user: String,
}

/// What one browser is asked for.
#[derive(Debug, Clone)]
pub struct LaunchOptions {
    /// Names the profile's folder: ASCII letters, digits, `-`, `_`. Unique among living browsers.
    pub name: String,
    /// The size of the first page; 1280x720 when `None`.
    pub viewport: Option<Viewport>,
    /// Accept any certificate, for a client that asks for it.
    pub ignore_certificate_errors: bool,
    /// From the call to readiness. Half a second is usual, several on an overloaded machine.
    pub deadline: Duration,
}

/// Starts browsers. One per process.
#[derive(Debug)]
pub struct Launcher {
    binary: BrowserBinary,
    isolation: Isolation,
    profiles: Arc<ProfileRoot>,
    account: Account,
    small_shared_memory: bool,
    spawner: Arc<Spawner>,
}

impl Launcher {
    /// Checks the machine, and makes this process a subreaper for good (see [`become_subreaper`]).
    ///
    /// # Errors
    /// The unprivileged user is missing, or the kernel lacks a feature.
    pub fn new(options: LauncherOptions) -> Result<Launcher, LauncherError> {
        if !procfs::lists_children() {
            let missing = std::io::Error::from(std::io::ErrorKind::Unsupported);
            return Err(LauncherError::Kernel(
                "list children in /proc (CONFIG_PROC_CHILDREN)",
                missing,
            ));
        }
        become_subreaper()
            .map_err(|source| LauncherError::Kernel("make this process a subreaper", source))?;
        let spawner = Spawner::start().map_err(|source| LauncherError::Kernel("start a thread", source))?;
        Ok(Launcher {
            account: Account::choose(&options.user)?,
            binary: options.binary,
            isolation: options.isolation,
            profiles: Arc::new(options.profiles),
            small_shared_memory: profile::shared_memory_is_small(),
            spawner: Arc::new(spawner),
        })
    }

    /// Starts a browser and waits until its DevTools answer and its one page has the asked size.
    ///
    /// Safe to drop halfway: what had started is killed, and its folder removed.
    ///
    /// # Errors
    /// See [`LaunchError`]; nothing is left behind.
    pub async fn launch(&self, options: LaunchOptions) -> Result<Browser, LaunchError> {
        let deadline = Instant::now() + options.deadline;
        let viewport = options.viewport.unwrap_or_default();
        let limit = options.deadline;
        let mut running = self.start(options, viewport).await?;
        match tokio::time::timeout_at(deadline, running.become_ready(viewport)).await {
            Ok(Ok(ready)) => Ok(Browser::new(running, ready)),
            Ok(Err(Unready::Exited(exit))) => Err(LaunchError::Exited {
                exit,
                stderr: running.last_words().await,
            }),
            Ok(Err(Unready::Wrong(reason))) => Err(LaunchError::NotReady {
                reason: reason.to_string(),
                stderr: running.last_words().await,
            }),
            Err(_) => Err(LaunchError::Deadline {
                limit,
                stderr: running.last_words().await,
            }),
        }
    }

    async fn start(&self, options: LaunchOptions, viewport: Viewport) -> Result<Running, LaunchError> {
        let spawn_failed = |source| LaunchError::Spawn {
            binary: self.binary.path().to_owned(),
            source,
        };
        let (commands, browser_reads) = pipe::pipe().map_err(spawn_failed)?;
        let (browser_writes, answers) = pipe::pipe().map_err(spawn_failed)?;
        let request = SpawnRequest {
            binary: self.binary.path().to_owned(),
            account: self.account.clone(),
            commands: browser_reads.into_blocking_fd().map_err(spawn_failed)?,
            answers: browser_writes.into_blocking_fd().map_err(spawn_failed)?,
        };
        let (profiles, isolation) = (Arc::clone(&self.profiles), self.isolation);
        let small_shared_memory = self.small_shared_memory;
        let job = move || -> Result<(Spawned, ProfileFolder), LaunchError> {
            let folder = profiles.create(&options.name, &request.account)?;
            let flags = flags::build(&FlagOptions {
                isolation,
                user_data: &folder.path().join("profile"),
                viewport,
                ignore_certificate_errors: options.ignore_certificate_errors,
                small_shared_memory,
            });
            let binary = request.binary.clone();
            let spawned = spawner::spawn(request, &flags, folder.path())
                .map_err(|source| LaunchError::Spawn { binary, source })?;
            Ok((spawned, folder))
        };
        let (spawned, folder) = self.spawner.run(job).await.map_err(spawn_failed)??;
        let cdp = CdpPipe::start(commands, answers);
        Running::watch(spawned, folder, cdp, Arc::clone(&self.spawner)).map_err(spawn_failed)
    }
}
