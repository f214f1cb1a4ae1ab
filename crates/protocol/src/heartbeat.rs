//! Worker to control plane: everything I run, and what came of it.

use serde::{Deserialize, Serialize};
use wharf_domain::{Bytes, EndReason, Generation, Incarnation, Millis, SessionId};

/// A worker's full state. Sent every few seconds, and at once when a session ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Which start of the worker speaks.
    pub incarnation: Incarnation,
    /// Whether it takes no more launches, because it is to stop once its sessions have ended.
    #[serde(default)]
    pub draining: bool,
    /// Every session that it runs or starts, and every ended one whose end was not acknowledged yet.
    pub sessions: Vec<ObservedSession>,
}

/// One session as its worker sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedSession {
    /// The session.
    pub session: SessionId,
    /// The launch that is spoken of.
    pub generation: Generation,
    /// Where it stands.
    pub status: ObservedStatus,
    /// What it used so far.
    pub usage: Usage,
}

/// Where a session stands on its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state", content = "reason")]
pub enum ObservedStatus {
    /// The browser is starting.
    Starting,
    /// The browser answers.
    Running,
    /// The browser is gone.
    Ended(EndReason),
}

/// What a launch of a session used, counted from its start: repeating or reordering reports changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Time since the browser answered.
    pub running: Millis,
    /// CPU time of the whole process tree.
    pub cpu: Millis,
    /// Highest memory seen, as proportional set size: pages shared with other browsers count by share.
    pub memory: Bytes,
    /// Bytes through the session's proxy.
    pub proxy: Bytes,
    /// Bytes to the world and back by any road, the proxy's among them.
    #[serde(default)]
    pub egress: Bytes,
}

/// What to do with each session that the heartbeat named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatReply {
    /// Whether an operator wants the worker to take no more launches.
    #[serde(default)]
    pub drain: bool,
    /// One order for a session that is not simply to go on.
    pub orders: Vec<SessionOrder>,
}

/// An order about one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionOrder {
    /// The session.
    pub session: SessionId,
    /// The launch that is meant.
    pub generation: Generation,
    /// What to do.
    pub order: Order,
}

/// What to do with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Its end is stored: stop reporting it.
    Forget,
    /// The control plane has ended it, or never knew it: end it.
    Kill,
}
