//! Starting a browser and waiting until it is ready.

mod limits;

use crate::account::Account;
use crate::binary::BrowserBinary;
use crate::browser::Browser;
use crate::error::{LaunchError, LauncherError};
use crate::flags::{self, FlagOptions, Isolation, Viewport};
use crate::jail::{self, Ambassador, JailError};
use crate::limits::{ControlGroups, Limits, Machine, NoControlGroups};
use crate::process::{BrowserExit, become_subreaper};
use crate::profile::{self, ProfileRoot};
use crate::running::{Grace, Running, Started, Unready};
use crate::spawner::{self, SpawnRequest, Spawned, Spawner};
use crate::trust::{Certutil, TrustError, TrustFile};
use crate::{cdp::CdpPipe, descriptors, out_of_memory, procfs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::Instant;

/// An empty jail stands within 50 ms; what takes this long hangs.
const CHECK_LIMIT: Duration = Duration::from_secs(10);
/// The profile's place in the browser's folder.
const USER_DATA: &str = "profile";

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
    /// What each may use.
    pub limits: Limits,
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
    /// Certificates in PEM, one or more in each, whose word it takes beside that of the usual authorities.
    pub trusted: Vec<String>,
    /// From the call to readiness. Half a second is usual, several on an overloaded machine.
    pub deadline: Duration,
}

/// What stands around every browser.
#[derive(Debug)]
enum Walls {
    Jail(Arc<jail::Builder>),
    Process { sandbox: bool },
}

/// Starts browsers.
#[derive(Debug)]
pub struct Launcher {
    binary: BrowserBinary,
    walls: Walls,
    profiles: Arc<ProfileRoot>,
    account: Account,
    small_shared_memory: bool,
    spawner: Arc<Spawner>,
    limits: Limits,
    control: Arc<Result<ControlGroups, NoControlGroups>>,
    shares_between_sessions: bool,
    certutil: Certutil,
}

impl Launcher {
    /// Checks the machine, makes this process a subreaper for good (see [`become_subreaper`]), and lets it have as many open
    /// files as it may.
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
        descriptors::raise();
        become_subreaper()
            .map_err(|source| LauncherError::Kernel("make this process a subreaper", source))?;
        let walls = match options.isolation {
            Isolation::Jail(init) => Walls::Jail(Arc::new(jail::Builder::new(init)?)),
            Isolation::Process => Walls::Process { sandbox: true },
            Isolation::None => Walls::Process { sandbox: false },
        };
        let spawner = Spawner::start().map_err(|source| LauncherError::Kernel("start a thread", source))?;
        Ok(Launcher {
            account: Account::choose(&options.user)?,
            binary: options.binary,
            walls,
            profiles: Arc::new(options.profiles),
            small_shared_memory: profile::shared_memory_is_small(),
            spawner: Arc::new(spawner),
            limits: options.limits,
            // Before this process moves to a group of its own.
            shares_between_sessions: Machine::own().shares_between_sessions(),
            control: Arc::new(Machine::own().control_groups(options.limits)),
            certutil: Certutil::find(),
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
            Ok(Err(Unready::Jail(reason))) => Err(LaunchError::NotReady {
                reason: format!("the first process of its jail does not speak: {reason}"),
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
        let spawn_failed = |source| self.spawn_failed(source);
        let trust = self.trust(&options).await?;
        let (commands, browser_reads) = pipe::pipe().map_err(spawn_failed)?;
        let (browser_writes, answers) = pipe::pipe().map_err(spawn_failed)?;
        let request = SpawnRequest {
            account: self.account.clone(),
            commands: browser_reads.into_blocking_fd().map_err(spawn_failed)?,
            answers: browser_writes.into_blocking_fd().map_err(spawn_failed)?,
            control: Arc::clone(&self.control),
            files: Vec::new(),
        };
        let started = match &self.walls {
            Walls::Jail(builder) => {
                self.start_jailed(options, viewport, request, (builder, trust))
                    .await?
            }
            Walls::Process { sandbox } => {
                self.start_bare(options, viewport, request, (*sandbox, trust))
                    .await?
            }
        };
        let cdp = CdpPipe::start(commands, answers);
        Running::watch(started, cdp, Arc::clone(&self.spawner)).map_err(spawn_failed)
    }

    async fn start_bare(
        &self,
        options: LaunchOptions,
        viewport: Viewport,
        request: SpawnRequest,
        (sandbox, trust): (bool, Vec<TrustFile>),
    ) -> Result<Started, LaunchError> {
        let (profiles, binary) = (Arc::clone(&self.profiles), self.binary.path().to_owned());
        let small_shared_memory = self.small_shared_memory;
        let watched = self.watched();
        let job = move || -> Result<Started, LaunchError> {
            let folder = profiles.create(&options.name)?;
            for file in trust {
                folder.put(&file.path, &file.content, &request.account)?;
            }
            folder.hand_over(&request.account)?;
            let flags = flags::build(&FlagOptions {
                sandbox,
                proxy: None,
                user_data: &folder.path().join(USER_DATA),
                viewport,
                ignore_certificate_errors: options.ignore_certificate_errors,
                small_shared_memory,
            });
            let spawned = spawner::spawn(request, &binary, &flags, folder.path())
                .map_err(|source| LaunchError::Spawn { binary, source })?;
            Ok(Started {
                spawned,
                folder: Some(folder),
                ambassador: None,
                watched,
            })
        };
        self.spawner
            .run(job)
            .await
            .map_err(|source| self.spawn_failed(source))?
    }

    async fn start_jailed(
        &self,
        options: LaunchOptions,
        viewport: Viewport,
        mut request: SpawnRequest,
        (builder, trust): (&Arc<jail::Builder>, Vec<TrustFile>),
    ) -> Result<Started, LaunchError> {
        let folder = profile::jailed_folder(&options.name)?;
        let flags = flags::build(&FlagOptions {
            sandbox: true,
            proxy: Some(jail::PROXY_PORT),
            user_data: &folder.join(USER_DATA),
            viewport,
            ignore_certificate_errors: options.ignore_certificate_errors,
            small_shared_memory: false,
        });
        let program = (self.binary.path().to_owned(), flags);
        let in_memory = trust.iter().map(|file| jail::in_memory(&file.content));
        request.files = in_memory
            .collect::<Result<_, _>>()
            .map_err(|source| self.spawn_failed(source))?;
        let files = trust.into_iter().map(|file| file.path).collect();
        let started = self
            .start_in_jail(program, (folder, files), request, builder)
            .await;
        started.map_err(|source| self.spawn_failed(source))
    }

    async fn start_in_jail(
        &self,
        (program, flags): (PathBuf, Vec<String>),
        (folder, files): (PathBuf, Vec<PathBuf>),
        request: SpawnRequest,
        builder: &Arc<jail::Builder>,
    ) -> std::io::Result<Started> {
        let (socket, inside) = jail::socket_pair()?;
        let builder = Arc::clone(builder);
        let limits = self.limits;
        let job = move || -> std::io::Result<Spawned> {
            let jailed = jail::Jailed {
                binary: &program,
                folder: &folder,
                time_zone: builder.time_zone.as_deref(),
                flags: &flags,
                limits,
                out_of_memory_score: out_of_memory::score(),
                files: &files,
            };
            spawner::spawn_jailed(request, &builder, &jailed, inside)
        };
        Ok(Started {
            spawned: self.spawner.run(job).await??,
            folder: None,
            ambassador: Some(Ambassador::new(socket)?),
            watched: self.watched(),
        })
    }

    /// Whether browsers can be told whom to trust.
    ///
    /// # Errors
    /// [`TrustError::NoCertutil`], with what to install.
    pub fn can_trust(&self) -> Result<(), TrustError> {
        self.certutil.path().map(drop)
    }

    async fn trust(&self, options: &LaunchOptions) -> Result<Vec<TrustFile>, LaunchError> {
        if options.trusted.is_empty() {
            return Ok(Vec::new());
        }
        let profiles = Arc::clone(&self.profiles);
        let account = self.account.clone();
        self.certutil
            .database(
                options.trusted.clone(),
                profiles,
                &options.name,
                account,
                options.deadline,
            )
            .await
    }

    /// Whether its browsers are in jails.
    pub fn has_jails(&self) -> bool {
        matches!(self.walls, Walls::Jail(_))
    }

    /// Builds a jail as a browser would have it, and looks whether Chromium's own sandbox could stand in it. `Ok` at
    /// once where browsers have none.
    ///
    /// # Errors
    /// [`JailError::Refused`], with what is missing and how to allow it.
    pub async fn check(&self) -> Result<(), LauncherError> {
        let Walls::Jail(builder) = &self.walls else {
            return Ok(());
        };
        let failed = |source| LauncherError::Jail(JailError::Check(source));
        let (commands, reads) = pipe::pipe().map_err(failed)?;
        let (writes, answers) = pipe::pipe().map_err(failed)?;
        let request = SpawnRequest {
            account: self.account.clone(),
            commands: reads.into_blocking_fd().map_err(failed)?,
            answers: writes.into_blocking_fd().map_err(failed)?,
            control: Arc::clone(&self.control),
            files: Vec::new(),
        };
        let folder = profile::jailed_folder("check").map_err(std::io::Error::other);
        let folder = (folder.map_err(failed)?, Vec::new());
        let started = self.start_in_jail(jail::probe(), folder, request, builder);
        let cdp = CdpPipe::start(commands, answers);
        let running =
            Running::watch(started.await.map_err(failed)?, cdp, Arc::clone(&self.spawner)).map_err(failed)?;
        match tokio::time::timeout(CHECK_LIMIT, running.ended()).await {
            Ok(BrowserExit::Clean) => {
                running.end(Grace::NONE).await;
                Ok(())
            }
            _ => Err(JailError::refused(running.last_words().await).into()),
        }
    }

    fn spawn_failed(&self, source: std::io::Error) -> LaunchError {
        LaunchError::Spawn {
            binary: self.binary.path().to_owned(),
            source,
        }
    }
}
