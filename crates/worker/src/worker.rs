//! The worker's start and stop.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;
use wharf_domain::{Clock, Entropy, Region, WorkerCredential};
use wharf_protocol::{CallVerifier, ConnectVerifier, RegisterReply, RegisterRequest, VerifyingKey};

use crate::agent::Agent;
use crate::browser::Chromiums;
use crate::control_plane::{CallError, ControlPlane, HttpControlPlane};
use crate::drain;
use crate::heartbeat::{Reporter, jittered};
use crate::http::{self, Calls};
use crate::pool::{Kernel, SpareBrowsers, WarmOptions, WarmPool};
use crate::rules::SessionRules;
use crate::spool::Spool;
use crate::tap::Tap;

/// How long a starting worker waits for its control plane, which may be starting as well.
const REGISTER_WITHIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Killing and reaping a browser takes 20 to 40 ms; more than this is a browser that the kernel does not let go.
const END_WITHIN: Duration = Duration::from_secs(15);
/// For answers that are being written when the worker stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// What a worker needs to know.
pub struct WorkerOptions<B = Chromiums> {
    /// Where it listens, for the control plane and the gateways.
    pub listen: SocketAddr,
    /// Where they reach it, as `host:port`; the address it listens on, if nothing else is said.
    pub advertise: Option<String>,
    /// The regions it serves.
    pub regions: Vec<Region>,
    /// How many sessions it runs at once.
    pub slots: u32,
    /// How many browsers it has ready for them.
    pub warm: WarmOptions,
    /// The control plane's base URL.
    pub control: Url,
    /// What the worker shows there.
    pub credential: WorkerCredential,
    /// The control plane's public key: calls and connect tokens are checked with it.
    pub verifying_key: VerifyingKey,
    /// How long it waits for what.
    pub rules: SessionRules,
    /// A file for what the control plane has not acknowledged, so that this worker's next process can tell it. Its folder
    /// is made if need be, and no other worker may use it. Without one, a killed worker's last report is its last heartbeat.
    pub spool: Option<PathBuf>,
    /// Starts the browsers.
    pub browsers: B,
    /// The time of day: tokens and signatures end.
    pub clock: Arc<dyn Clock>,
    /// The randomness of timers.
    pub entropy: Arc<dyn Entropy>,
}

/// A worker that does not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The address cannot be listened on.
    #[error("the worker cannot listen on {address}: {source}; is another worker running there?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's refusal.
        source: std::io::Error,
    },
    /// Nobody can connect to the address that would be advertised.
    #[error(
        "{0} means every address, so nobody can be told to connect to it: say which one to advertise, as host:port"
    )]
    Unreachable(SocketAddr),
    /// The credential is not one of the control plane's.
    #[error(
        "{control} does not know this worker's credential; enroll the worker there and start it with the new one"
    )]
    Unauthorized {
        /// The control plane.
        control: Url,
    },
    /// No registration came about in time.
    #[error("the worker could not register at {control} within {REGISTER_WITHIN:?}: {reason}")]
    NotRegistered {
        /// The control plane.
        control: Url,
        /// The last failure.
        reason: String,
    },
}

/// A running worker. Dropped without [`Worker::shutdown`], it ends its sessions but waits for nothing.
pub struct Worker {
    agent: Arc<Agent>,
    reporter: Arc<Reporter>,
    address: SocketAddr,
    stop_reports: CancellationToken,
    stop_server: CancellationToken,
    stop_spool: CancellationToken,
    /// The server, the reporter and the spool's writer.
    tasks: JoinSet<()>,
}

impl Worker {
    /// Listens, registers, and from then on takes launches. Waits up to a minute for a control plane that does not
    /// answer yet.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub async fn start(options: WorkerOptions) -> Result<Self, WorkerError> {
        Self::start_with(options).await
    }

    async fn start_with<B: SpareBrowsers>(options: WorkerOptions<B>) -> Result<Self, WorkerError> {
        let control = HttpControlPlane::new(options.control.clone(), options.credential.clone());
        Self::start_at(options, Arc::new(control)).await
    }

    async fn start_at<B: SpareBrowsers>(
        options: WorkerOptions<B>,
        control: Arc<dyn ControlPlane>,
    ) -> Result<Self, WorkerError> {
        let (listener, address, advertised) = listen(&options).await?;
        let spool = options.spool.map(Spool::at);
        let request = RegisterRequest {
            address: advertised,
            regions: options.regions,
            slots: options.slots,
            process: Some(process_number(&*options.entropy)),
            unreported: match &spool {
                Some(spool) => spool.read().await,
                None => Vec::new(),
            },
        };
        let RegisterReply {
            worker,
            incarnation,
            heartbeat_every,
        } = register(&*control, &request, &options.control, &*options.entropy).await?;

        let verifier = ConnectVerifier::new(&options.verifying_key);
        let entropy = Arc::clone(&options.entropy);
        let browsers = WarmPool::start(options.browsers, options.warm, Box::new(Kernel), entropy);
        let agent = Agent::new(
            Box::new(browsers),
            options.slots,
            verifier,
            options.clock,
            options.rules,
        );
        let calls = Calls {
            agent: Arc::clone(&agent),
            verifier: CallVerifier::new(&options.verifying_key),
            worker,
        };
        let reporter = Arc::new(Reporter {
            agent: Arc::clone(&agent),
            control,
            incarnation,
            every: heartbeat_every.into(),
            entropy: options.entropy,
            replaced: CancellationToken::new(),
        });
        let [stop_reports, stop_server, stop_spool] = [(); 3].map(|()| CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(wharf_listener::serve(
            listener,
            http::router(calls),
            stop_server.clone(),
            DRAIN_WITHIN,
        ));
        tasks.spawn(Arc::clone(&reporter).run(stop_reports.clone()));
        if let Some(spool) = spool {
            // A newer process has read the spool, and writes it.
            let stop = (stop_spool.clone(), reporter.replaced.clone());
            tasks.spawn(spool.keep(Arc::clone(&agent), stop));
        }
        tracing::info!(%worker, incarnation = incarnation.0, "worker {worker} takes sessions on {}", request.address);
        Ok(Self {
            agent,
            reporter,
            address,
            stop_reports,
            stop_server,
            stop_spool,
            tasks,
        })
    }

    /// The entrance for clients that a gateway in the same process has received.
    pub fn tap(&self) -> Tap {
        Tap::new(Arc::clone(&self.agent))
    }

    /// The address that the worker listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves when a newer process of the same worker has registered. This one is then to be shut down: the control
    /// plane counts its sessions as lost.
    pub async fn replaced(&self) {
        self.reporter.replaced.cancelled().await;
    }

    /// How many sessions start, run, or are being taken down.
    pub fn sessions(&self) -> usize {
        *self.agent.registry.live().borrow()
    }

    /// Takes no more launches from now on, tells the control plane so at once, and resolves when no session is left: in the
    /// worst case after the longest session's time. Twice a minute the log says what is waited for. The worker goes on
    /// running; [`Worker::shutdown`] is what comes next. To give up waiting, drop the future: launches stay refused.
    pub async fn drain(&self) {
        // Browsers that wait for a session wait in vain now, and take memory from those that run.
        tokio::join!(self.agent.browsers.retire(), drain::drain(&self.agent.registry));
    }

    /// Takes no more launches, ends every session as killed, waits until the browsers are gone, reports the ends once
    /// more, and stops.
    pub async fn shutdown(mut self) {
        let retired = self.agent.browsers.retire();
        self.agent.registry.close();
        self.agent.tasks.close();
        let ended = async {
            self.agent.tasks.wait().await;
            retired.await;
        };
        if timeout(END_WITHIN, ended).await.is_err() {
            tracing::error!(
                "some browsers are still not gone after {END_WITHIN:?}; the worker stops without them"
            );
        }
        self.stop_reports.cancel();
        self.reporter.last_beat().await;
        self.stop_spool.cancel();
        self.stop_server.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It begins with the call.
        drop(self.agent.browsers.retire());
        self.agent.registry.close();
    }
}

/// Tells this process from every other of the same worker.
fn process_number(entropy: &dyn Entropy) -> u32 {
    let mut random = [0; 4];
    entropy.fill(&mut random);
    u32::from_le_bytes(random)
}

async fn listen<B>(options: &WorkerOptions<B>) -> Result<(TcpListener, SocketAddr, String), WorkerError> {
    let refused = |source| WorkerError::Listen {
        address: options.listen,
        source,
    };
    let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    match &options.advertise {
        Some(advertised) => Ok((listener, address, advertised.clone())),
        None if address.ip().is_unspecified() => Err(WorkerError::Unreachable(address)),
        None => Ok((listener, address, address.to_string())),
    }
}

async fn register(
    control: &dyn ControlPlane,
    request: &RegisterRequest,
    base: &Url,
    entropy: &dyn Entropy,
) -> Result<RegisterReply, WorkerError> {
    let deadline = Instant::now() + REGISTER_WITHIN;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match control.register(request).await {
            Ok(reply) => return Ok(reply),
            Err(CallError::Unauthorized) => {
                return Err(WorkerError::Unauthorized {
                    control: base.clone(),
                });
            }
            Err(error) => error,
        };
        if Instant::now() + pause > deadline {
            return Err(WorkerError::NotRegistered {
                control: base.clone(),
                reason: error.to_string(),
            });
        }
        tracing::info!(%error, "the worker is not registered yet and tries again: {error}");
        sleep(jittered(pause, entropy)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
