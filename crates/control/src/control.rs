//! What every use case needs at hand.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use wharf_domain::{Clock, Entropy};
use wharf_protocol::{CallSigner, ConnectSigner, SigningKey};
use wharf_store::Store;

use crate::Timings;
use crate::authenticate::KeyCache;
use crate::deliveries::Deliveries;
use crate::queue::Queue;
use crate::worker_client::WorkerClient;

/// What a control plane is made of.
pub struct ControlOptions {
    /// Postgres.
    pub store: Store,
    /// The key that signs connect tokens and calls to workers.
    pub signing_key: SigningKey,
    /// The time of day, for tokens and ids.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for keys and ids.
    pub entropy: Arc<dyn Entropy>,
    /// How long things may take.
    pub timings: Timings,
}

/// The control plane: one per process, and cheap to clone.
#[derive(Clone)]
pub struct Control {
    pub(crate) store: Store,
    pub(crate) connect_signer: Arc<ConnectSigner>,
    pub(crate) workers: Arc<WorkerClient>,
    pub(crate) keys: KeyCache,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) timings: Timings,
    pub(crate) queue: Queue,
    pub(crate) deliveries: Deliveries,
    pub(crate) shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Control {
    /// A control plane over these parts. It does nothing by itself until [`crate::reconcile::start`] is called.
    pub fn new(options: ControlOptions) -> Self {
        let calls = CallSigner::new(&options.signing_key);
        Self {
            connect_signer: Arc::new(ConnectSigner::new(&options.signing_key)),
            workers: Arc::new(WorkerClient::new(calls, Arc::clone(&options.clock))),
            keys: KeyCache::new(),
            store: options.store,
            clock: options.clock,
            entropy: options.entropy,
            timings: options.timings,
            queue: Queue::default(),
            deliveries: Deliveries::default(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// A new id for a request, under which its log lines are found.
    pub fn request_id(&self) -> Uuid {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        uuid::Builder::from_random_bytes(random).into_uuid()
    }

    /// Whether Postgres answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ready(&self) -> Result<(), crate::Error> {
        Ok(self.store.ping().await?)
    }

    /// Runs `work` to its end, whatever becomes of the caller.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.tasks.spawn(work)
    }

    /// Stops the reconcilers and waits for work under way.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
