//! Reports everything the worker runs, every few seconds and whenever a session ends or a drain begins, and does what is
//! answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use wharf_domain::{Entropy, Incarnation};
use wharf_protocol::{Heartbeat, HeartbeatReply};

use crate::agent::Agent;
use crate::control_plane::{CallError, ControlPlane};

/// For the last one, when the worker stops: whoever stops it does not wait for ever.
const LAST_BEAT_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends heartbeats.
pub(crate) struct Reporter {
    pub(crate) agent: Arc<Agent>,
    pub(crate) control: Arc<dyn ControlPlane>,
    pub(crate) incarnation: Incarnation,
    pub(crate) every: Duration,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// Cancelled when a newer process of the same worker has taken over.
    pub(crate) replaced: CancellationToken,
}

impl Reporter {
    /// Reports until stopped, or replaced.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut outage = Outage::default();
        let mut draining = self.agent.registry.draining();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(jittered(self.every, &*self.entropy)) => {}
                () = self.agent.ended.notified() => {}
                Ok(()) = draining.changed() => {}
            }
            match self.beat().await {
                Ok(reply) => {
                    outage.is_over();
                    self.obey(&reply);
                }
                // Enrolling a worker anew takes its credential away: the process that shows the old one was replaced too.
                Err(CallError::Replaced | CallError::Unauthorized) => {
                    tracing::error!(
                        "a newer process of this worker has registered, or its credential was taken away: this one must stop"
                    );
                    self.replaced.cancel();
                    return;
                }
                Err(error) => outage.goes_on(&error),
            }
        }
    }

    /// One last report, for the ends that the worker's own stop has brought.
    pub(crate) async fn last_beat(&self) {
        if self.replaced.is_cancelled() {
            return;
        }
        match timeout(LAST_BEAT_TIMEOUT, self.beat()).await {
            Ok(Ok(reply)) => self.obey(&reply),
            Ok(Err(error)) => tracing::warn!(%error, "the last heartbeat was not taken: {error}"),
            Err(_) => tracing::warn!("the last heartbeat was not answered within {LAST_BEAT_TIMEOUT:?}"),
        }
    }

    fn obey(&self, reply: &HeartbeatReply) {
        reply.orders.iter().for_each(|order| self.agent.obey(order));
        let registry = &self.agent.registry;
        if registry.set_draining(|draining| draining.operator = reply.drain) {
            match reply.drain {
                true => tracing::info!("an operator drains this worker: it takes no more sessions"),
                false => tracing::info!("an operator has taken the drain back"),
            }
        }
    }

    async fn beat(&self) -> Result<HeartbeatReply, CallError> {
        let heartbeat = Heartbeat {
            incarnation: self.incarnation,
            draining: self.agent.registry.draining().borrow().is_on(),
            sessions: self.agent.registry.observe(),
        };
        self.control.heartbeat(&heartbeat).await
    }
}

/// A time during which heartbeats fail. It is logged twice, not every few seconds.
#[derive(Default)]
struct Outage(Option<Instant>);

impl Outage {
    fn goes_on(&mut self, error: &CallError) {
        if self.0.is_none() {
            self.0 = Some(Instant::now());
            tracing::warn!(%error, "heartbeats fail, sessions go on: {error}");
        }
    }

    fn is_over(&mut self) {
        if let Some(since) = self.0.take() {
            tracing::info!("heartbeats succeed again, after {:?}", since.elapsed());
        }
    }
}

/// `period`, 20 % more or less, so that workers that started together do not speak together.
pub(crate) fn jittered(period: Duration, entropy: &dyn Entropy) -> Duration {
    let mut random = [0; 4];
    entropy.fill(&mut random);
    let share = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
    period.mul_f64(0.8 + 0.4 * share)
}

#[cfg(test)]
mod tests {
    use wharf_domain::SeededEntropy;

    use super::*;

    #[test]
    fn the_jitter_stays_within_a_fifth_and_uses_it() {
        let entropy = SeededEntropy::new(11);
        let drawn: Vec<Duration> = (0..1_000)
            .map(|_| jittered(Duration::from_secs(5), &entropy))
            .collect();
        let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!((4_000..4_050).contains(&least.as_millis()), "{least:?}");
        assert!((5_950..=6_000).contains(&most.as_millis()), "{most:?}");
    }
}
