//! The proxy of one browser.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::connection;
use crate::meter::{Bytes, Meter, RoadMeter, Traffic};
use crate::options::Options;
use crate::resolve::Names;
use crate::rules::{InForce, Rules};
use crate::slots::Slots;
use crate::tasks::Tasks;
use crate::tunnel::Budget;
use crate::world::Dialler;

/// Out of file descriptors: the next accept would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The proxy of one browser. It serves until it is stopped or dropped.
pub struct Egress {
    shared: Arc<Shared>,
}

/// What its connections have in common.
pub(crate) struct Shared {
    pub(crate) dialler: Dialler,
    pub(crate) slots: Slots,
    pub(crate) tunnels: Arc<Budget>,
    pub(crate) tasks: Tasks,
    meter: Arc<Meter>,
    in_force: RwLock<Arc<InForce>>,
}

impl Shared {
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Egress {
    /// Serves the listener, in tasks of this runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(listener: TcpListener, rules: Rules, options: Options) -> Self {
        let (tasks, meter, options) = (Tasks::default(), Arc::new(Meter::default()), Arc::new(options));
        let names = Names::new(Arc::clone(&options.resolver), options.lookups, tasks.clone());
        let shared = Arc::new(Shared {
            slots: Slots::new(options.exchanges),
            tunnels: Arc::new(Budget::new(options.tunnel_bytes)),
            in_force: RwLock::new(Arc::new(InForce::new(rules, &meter))),
            dialler: Dialler { names, options },
            tasks,
            meter,
        });
        shared.tasks.spawn(accept(listener, Arc::clone(&shared)));
        Self { shared }
    }

    /// Every request and tunnel that begins from now on follows these rules. Those under way go on as they are; no
    /// connection to the world that was kept for further requests is used again.
    pub fn set_rules(&self, rules: Rules) {
        let in_force = Arc::new(InForce::new(rules, &self.shared.meter));
        *self
            .shared
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner) = in_force;
    }

    /// What has been carried so far, whatever the rules were. Costs four loads.
    pub fn traffic(&self) -> Traffic {
        self.shared.meter.read()
    }

    /// What each route of the present rules has carried, in their order.
    pub fn traffic_by_route(&self) -> Vec<Bytes> {
        self.shared.in_force().meters().map(RoadMeter::read).collect()
    }

    /// Closes every socket, and gives back the final figures.
    pub async fn stop(&self) -> Traffic {
        self.shared.tasks.stop();
        self.shared.tasks.ended().await;
        self.traffic()
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        self.shared.tasks.stop();
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Egress")
            .field("traffic", &self.traffic())
            .finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.dialler.options.connections));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                shared
                    .tasks
                    .spawn(connection::serve(stream, Arc::clone(&shared), place));
            }
            Err(error) => {
                tracing::warn!(%error, "a browser's connection cannot be taken: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
