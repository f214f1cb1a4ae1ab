//! How long a worker waits for what.

use std::time::Duration;

use tokio::time::Instant;

/// The durations that rule every session of a worker. A session's own (its time to live, the time for its first client,
/// its idle time) come with its launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRules {
    /// A client's WebSocket is closed once not a byte has come from it for so long. The session then follows its rule:
    /// without keepAlive it ends, if that was the last client. Default: 10 minutes.
    pub cdp_silence: Duration,
    /// How long a session without keepAlive waits for a client that did not leave but was lost with its gateway, or with
    /// the network in between. Default: 30 s.
    pub reconnect_grace: Duration,
    /// How long a launch waits for a slot: a session that has just ended gives its slot back only once its browser is
    /// gone. Default: 2 s.
    pub slot_wait: Duration,
    /// How often a session's use is measured, and the spool written. Default: 5 s.
    pub sample_every: Duration,
    /// A dying process closes its sockets a moment before it can be seen to have died. When the browser's side of the
    /// last tunnel ends first, this is the time its exit has to show itself. Default: 100 ms.
    pub exit_wait: Duration,
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            cdp_silence: Duration::from_mins(10),
            reconnect_grace: Duration::from_secs(30),
            slot_wait: Duration::from_secs(2),
            sample_every: Duration::from_secs(5),
            exit_wait: Duration::from_millis(100),
        }
    }
}

/// As good as never, and still a moment that the clock can hold.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The moment this long after another, whatever somebody sent as a duration.
pub(crate) fn after(moment: Instant, wait: Duration) -> Instant {
    moment + wait.min(NEVER)
}
