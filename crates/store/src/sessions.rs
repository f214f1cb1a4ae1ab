//! The tables `sessions` and `session_usage`.

mod create;
mod end;
mod events;
mod get;
mod list;
mod live;
mod merge_usage;
mod overdue;
mod place;
mod row;
mod start;

use wharf_domain::{
    Bytes, EndReason, Generation, Incarnation, Percent, ProjectId, Region, SessionId, SessionStatus,
    SessionTimeout, Timestamp, WorkerId,
};

pub use create::{Admission, NewSession, Stored, create};
pub use end::{Ended, end, end_own, end_reported, end_waiting};
pub use events::{Event, EventKind, events};
pub use get::get;
pub use list::{SessionFilter, list};
pub use live::{LiveSession, find_live, of_replaced_workers, of_workers, own, unreported};
pub use merge_usage::{UsageReport, merge_usage};
pub use overdue::overdue;
pub use place::{Placed, place, placed, wait_for_another_worker, waiting};
pub use start::{start, start_reported};

/// A slot of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The worker.
    pub worker: WorkerId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// Where it is reached: `host:port`.
    pub address: String,
}

/// A session with what its current launch used.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its project.
    pub project: ProjectId,
    /// Where it is in its life.
    pub status: SessionStatus,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// Which launch is current.
    pub generation: Generation,
    /// The region that it runs in.
    pub region: Region,
    /// Whether it outlives its last client.
    pub keep_alive: bool,
    /// How long it may run.
    pub timeout: SessionTimeout,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Timestamp,
    /// When its browser answered.
    pub started_at: Option<Timestamp>,
    /// Its deadline; provisional until the browser answers.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The caller's own object.
    pub user_metadata: Option<serde_json::Value>,
    /// The options of the create call, as they were asked for.
    pub options: serde_json::Value,
    /// Where it runs; `None` while it waits for a place.
    pub place: Option<Place>,
    /// Bytes through its proxy.
    pub proxy_bytes: Bytes,
    /// Bytes to the world and back by any road, the proxy's among them.
    pub egress_bytes: Bytes,
    /// Mean CPU use since its start.
    pub average_cpu: Percent,
    /// Highest memory seen.
    pub memory: Bytes,
}
