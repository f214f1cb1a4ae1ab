//! The agent that runs sessions: browsers, their deadlines, their clients, their usage.
//!
//! A [`Worker`] registers with the control plane, takes launches and releases from it, and reports everything it runs
//! in one heartbeat. A running session needs no control plane: the worker itself enforces its deadline, verifies its
//! clients' tokens ([`Tap`]), and keeps its end and its usage until somebody has stored them.

mod agent;
mod browser;
mod control_plane;
mod drain;
mod heartbeat;
mod http;
mod metric;
mod pool;
mod registry;
mod rules;
mod session;
mod spool;
mod tap;
mod worker;

pub use browser::{AdLists, BadPool, BuiltInProxy, Chromiums, ProxyPool};
pub use metric::{
    CLAIMS, LAUNCH_SECONDS, REFILL_SECONDS, SESSION_ENDS, SESSIONS, SLOTS, TUNNEL_BYTES, WARM_BROWSERS,
    WARM_LOSSES,
};
pub use pool::{WarmOptions, default_warm};
pub use rules::SessionRules;
pub use tap::Tap;
pub use worker::{Worker, WorkerError, WorkerOptions};
