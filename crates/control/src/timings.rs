//! How long things may take: every duration by which the control plane decides.

use std::time::Duration;

/// The control plane's durations. The defaults are those of Browserbase where it has them; the others are bracketed by
/// what Kubernetes, Nomad and Selenium Grid use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// How often workers report.
    pub heartbeat_every: Duration,
    /// How long the first client may take to connect, unless the session is kept alive.
    pub connect_within: Duration,
    /// How long a session may wait for a free slot.
    pub wait_within: Duration,
    /// How long a browser may take to start.
    pub launch_within: Duration,
    /// How long a create may take altogether, launches on further workers included. Clients give up at 60 s.
    pub create_within: Duration,
    /// A worker that has been silent for longer gets no session.
    pub silent_after: Duration,
    /// A worker that has been silent for longer is lost, and its sessions with it.
    pub lost_after: Duration,
    /// How long nobody is declared lost while most of a region is silent.
    pub brake_for: Duration,
    /// For how long a repeated call without an `Idempotency-Key` gets the session of the call whose answer was lost. Zero
    /// turns that off.
    pub repeat_within: Duration,
    /// For how long an `Idempotency-Key` is remembered.
    pub key_kept_for: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat_every: Duration::from_secs(5),
            connect_within: Duration::from_secs(5 * 60),
            wait_within: Duration::from_secs(10),
            launch_within: Duration::from_secs(20),
            create_within: Duration::from_secs(30),
            silent_after: Duration::from_secs(10),
            lost_after: Duration::from_secs(60),
            brake_for: Duration::from_secs(10 * 60),
            repeat_within: Duration::from_secs(120),
            key_kept_for: Duration::from_secs(24 * 60 * 60),
        }
    }
}
