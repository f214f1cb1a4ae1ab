//! The names of this crate's metrics.

/// Gauge: browsers that are starting, running or being taken down.
pub const SESSIONS: &str = "wharf_worker_sessions";
/// Gauge: sessions that the worker can run at once.
pub const SLOTS: &str = "wharf_worker_slots";
/// Histogram, in seconds: from the request to launch to the browser's answer.
pub const LAUNCH_SECONDS: &str = "wharf_worker_launch_seconds";
/// Counter with `reason`: sessions that have ended.
pub const SESSION_ENDS: &str = "wharf_worker_session_ends_total";
/// Counter with `direction`, `up` from the client or `down` to it: bytes of tunnels, counted when a tunnel ends.
pub const TUNNEL_BYTES: &str = "wharf_worker_tunnel_bytes_total";
/// Gauge: browsers of the warm pool that are ready.
pub const WARM_BROWSERS: &str = "wharf_worker_warm_browsers";
/// Counter with `outcome`: sessions that asked for a browser and got a `warm` one, or one of their own because the pool
/// was `empty` or their `options` need flags.
pub const CLAIMS: &str = "wharf_worker_claims_total";
/// Counter with `reason`: browsers of the warm pool that no session got, because they `died`, were `unfit` when they were
/// asked for, or had `aged`.
pub const WARM_LOSSES: &str = "wharf_worker_warm_losses_total";
/// Histogram, in seconds: the starting of a browser for the warm pool.
pub const REFILL_SECONDS: &str = "wharf_worker_refill_seconds";
