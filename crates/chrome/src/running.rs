//! A started browser, from the fork to the last trace of it.

use crate::cdp::{CdpError, CdpPipe};
use crate::devtools::Devtools;
use crate::flags::Viewport;
use crate::jail::{Ambassador, Hello};
use crate::limits::{Limits, guard};
use crate::process::{BrowserExit, ExitEvent, Family, Processes, jail_exit};
use crate::profile::ProfileFolder;
use crate::ready::{self, NotReady, Prepared};
use crate::spawner::{Spawned, Spawner};
use crate::stderr::{self, DevtoolsEndpoint, StderrTail};
use serde_json::json;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Killing and reaping takes 20-40 ms. After this long a process hangs in the kernel, and waiting is no use.
const END_LIMIT: Duration = Duration::from_secs(5);
/// For the last lines on stderr once every process is gone.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(1);

/// Field order is drop order: first the processes die, then their folder goes.
#[derive(Debug)]
pub(crate) struct Running {
    processes: Processes,
    /// What is in a jail goes with it.
    folder: Option<ProfileFolder>,
    ambassador: Option<Arc<Ambassador>>,
    /// Until the browser is ready.
    hello: Option<Hello>,
    cdp: Arc<CdpPipe>,
    exit: watch::Receiver<Option<BrowserExit>>,
    announced: oneshot::Receiver<DevtoolsEndpoint>,
    tail: StderrTail,
    supervisor: JoinSet<()>,
    drain: JoinSet<()>,
    /// Holds it to its limits, where nobody else does.
    _guard: JoinSet<()>,
    /// Browsers are tied to the life of its thread.
    _spawner: Arc<Spawner>,
}

/// What has been started.
pub(crate) struct Started {
    pub(crate) spawned: Spawned,
    pub(crate) folder: Option<ProfileFolder>,
    pub(crate) ambassador: Option<(Arc<Ambassador>, Hello)>,
    /// What the kernel does not hold it to.
    pub(crate) watched: Limits,
}

/// What a ready browser says of itself.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) devtools: Devtools,
    /// Where the connections of its proxy arrive, if it has one.
    pub(crate) egress: Option<TcpListener>,
    pub(crate) product: String,
    /// Its first page, as a target's id.
    pub(crate) page: String,
}

#[derive(Debug)]
pub(crate) enum Unready {
    Exited(BrowserExit),
    Wrong(NotReady),
    /// Its first process speaks, but not as ours does.
    Jail(std::io::Error),
}

/// How long a browser gets to end by itself before it is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grace {
    /// After `Browser.close`. Nobody asks it when this is zero.
    pub close: Duration,
    /// After SIGTERM, which comes next. Nor is it sent when this is zero.
    pub terminate: Duration,
}

impl Grace {
    /// Killed at once: there is nothing to save.
    pub const NONE: Grace = Grace {
        close: Duration::ZERO,
        terminate: Duration::ZERO,
    };
}

/// How a browser's end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseReport {
    /// How the main process ended: by our signal, unless it had ended before or by itself. `None` if it has not ended yet.
    pub exit: Option<BrowserExit>,
    /// Whether every process is reaped and the folder removed. If not, the reason is in the log and the work
    /// goes on in the background.
    pub complete: bool,
    /// From the call to the end.
    pub took: Duration,
}

impl Running {
    /// Starts the tasks that watch a browser. On an error the browser dies with the arguments.
    pub(crate) fn watch(started: Started, cdp: CdpPipe, spawner: Arc<Spawner>) -> std::io::Result<Running> {
        let Started {
            spawned,
            folder,
            ambassador,
            watched: limits,
        } = started;
        // Taken in this order, so that an early return kills before it removes.
        let Spawned { processes, stderr } = spawned;
        let event = ExitEvent::of(processes.family())?;
        let stderr = pipe::Receiver::from_owned_fd(OwnedFd::from(stderr))?;
        let tail = StderrTail::default();
        let (announce, announced) = oneshot::channel();
        let (exit_sender, exit) = watch::channel(None);
        let (mut supervisor, mut drain, mut guard) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let (ambassador, hello) = ambassador.unzip();
        let watched = Watched {
            event,
            ambassador: ambassador.clone(),
        };
        supervisor.spawn(supervise(watched, Arc::clone(processes.family()), exit_sender));
        drain.spawn(stderr::drain(stderr, tail.clone(), announce));
        guard.spawn(guard::watch(Arc::clone(processes.family()), limits));
        Ok(Running {
            processes,
            folder,
            ambassador,
            hello,
            cdp: Arc::new(cdp),
            exit,
            announced,
            tail,
            supervisor,
            drain,
            _guard: guard,
            _spawner: spawner,
        })
    }

    /// Waits for readiness or the end, whichever comes first.
    pub(crate) async fn become_ready(&mut self, viewport: Viewport) -> Result<Ready, Unready> {
        let Running {
            cdp,
            announced,
            exit,
            ambassador,
            hello,
            processes,
            ..
        } = self;
        let ready = async {
            let egress = match hello.take() {
                Some(hello) => match hello.listener().await {
                    Ok(listener) => Some(listener),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => std::future::pending().await,
                    Err(error) => return Err(Unready::Jail(error)),
                },
                None => None,
            };
            processes.family().entered();
            let Prepared { product, page } = match ready::prepare(cdp, viewport).await {
                // A closed pipe means that the process ends; how it ends is the better news.
                Err(NotReady::Cdp(CdpError::Closed)) => std::future::pending().await,
                prepared => prepared.map_err(Unready::Wrong)?,
            };
            match announced.await {
                Ok(endpoint) => Ok(Ready {
                    devtools: Devtools::new(endpoint, ambassador.clone()),
                    egress,
                    product,
                    page,
                }),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = ended(exit) => Err(Unready::Exited(exit)),
            ready = ready => ready,
        }
    }

    pub(crate) fn cdp(&self) -> &Arc<CdpPipe> {
        &self.cdp
    }

    pub(crate) fn family(&self) -> &Arc<Family> {
        self.processes.family()
    }

    pub(crate) fn exit(&self) -> watch::Receiver<Option<BrowserExit>> {
        self.exit.clone()
    }

    pub(crate) async fn ended(&self) -> BrowserExit {
        ended(&mut self.exit.clone()).await
    }

    /// Ends the browser and answers what it said last.
    pub(crate) async fn last_words(mut self) -> Vec<String> {
        let (tail, mut drain) = (self.tail.clone(), std::mem::take(&mut self.drain));
        self.end(Grace::NONE).await;
        // Ends by itself once nobody holds the other end.
        let _ = timeout(LAST_WORDS_LIMIT, drain.join_next()).await;
        tail.lines()
    }

    /// Lets the browser end by itself while the grace lasts; then kills, reaps and removes.
    pub(crate) async fn end(mut self, grace: Grace) -> CloseReport {
        let started = Instant::now();
        self.ask(grace).await;
        self.family().kill();
        let ended = timeout(END_LIMIT, self.supervisor.join_next()).await.is_ok();
        let exit = *self.exit.borrow();
        if !ended {
            tracing::error!(leader = %self.family().leader(), "a killed browser does not end");
        }
        // The rest blocks: the folder, and processes the supervisor did not reap because it was cut off.
        let rest = tokio::task::spawn_blocking(move || {
            self.family().destroy();
            self.folder.is_none_or(|folder| folder.remove().is_ok())
        });
        let complete = match ended {
            true => rest.await.unwrap_or(false),
            false => false,
        };
        CloseReport {
            exit,
            complete,
            took: started.elapsed(),
        }
    }

    /// Close, then SIGTERM, each with its time.
    async fn ask(&self, grace: Grace) {
        if !grace.close.is_zero() {
            let asked = async {
                // A browser that ends may do so before it answers.
                let _ = self.cdp.call("Browser.close", json!({})).await;
                self.ended().await
            };
            if timeout(grace.close, asked).await.is_ok() {
                return;
            }
        }
        if !grace.terminate.is_zero() {
            self.family().terminate();
            if timeout(grace.terminate, self.ended()).await.is_err() {
                tracing::warn!(leader = %self.family().leader(), "a browser that was asked to end does not; it is killed");
            }
        }
    }
}

async fn ended(exit: &mut watch::Receiver<Option<BrowserExit>>) -> BrowserExit {
    // Copied out before the next await: the channel's guard may not cross one.
    let seen = exit.wait_for(Option::is_some).await.map(|exit| *exit);
    match seen {
        Ok(exit) => exit.unwrap_or(BrowserExit::Clean),
        Err(_) => std::future::pending().await,
    }
}

/// What tells that a browser has ended.
struct Watched {
    event: ExitEvent,
    /// Tells it sooner: a jail's outer process ends last.
    ambassador: Option<Arc<Ambassador>>,
}

impl Watched {
    async fn ended(&self) -> std::io::Result<BrowserExit> {
        let farewell = async {
            match &self.ambassador {
                Some(ambassador) => match ambassador.listen().await {
                    Some(code) => jail_exit(code),
                    None => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = farewell => Ok(exit),
            exit = self.event.wait() => exit,
        }
    }
}

/// Publishes the end of the main process, then takes its helpers with it: without it they are of no use.
async fn supervise(watched: Watched, family: Arc<Family>, publish: watch::Sender<Option<BrowserExit>>) {
    match watched.ended().await {
        Ok(exit) => {
            let exit = match family.is_too_large() {
                true => BrowserExit::OutOfMemory,
                false => exit,
            };
            publish.send_replace(Some(exit));
        }
        Err(error) => tracing::error!(leader = %family.leader(), %error, "cannot wait for a browser"),
    }
    // Fails only when the runtime shuts down; then dropping the browser does it.
    let _ = tokio::task::spawn_blocking(move || family.destroy()).await;
}
