//! Worker to control plane: here I am.

use serde::{Deserialize, Serialize};
use wharf_domain::{Incarnation, Millis, Region, WorkerId};

use crate::ObservedSession;

/// Sent once, when a worker's process starts. Whatever an earlier process of the same worker ran is lost by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterRequest {
    /// Where the control plane and the gateways reach the worker: `host:port`.
    pub address: String,
    /// The regions it serves.
    pub regions: Vec<Region>,
    /// How many sessions it can run at once.
    pub slots: u32,
    /// A random number of this process's own: registering again with it changes nothing. The call may be repeated, and an
    /// api that was paused may answer the first one long after the second.
    #[serde(default)]
    pub process: Option<u32>,
    /// What earlier processes of this worker ran and could not report any more, as their spool tells it.
    #[serde(default)]
    pub unreported: Vec<ObservedSession>,
}

/// Who the worker is from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterReply {
    /// The worker's id, which signed calls name as their audience.
    pub worker: WorkerId,
    /// Which start of the worker this is.
    pub incarnation: Incarnation,
    /// How often to send a heartbeat.
    pub heartbeat_every: Millis,
}
