//! The state machine: PENDING, RUNNING, then one of three ends. It moves forward only.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a session is in its life, under the names that Browserbase's clients know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionStatus {
    /// Stored and placed; the browser is not ready yet.
    Pending,
    /// The browser answers.
    Running,
    /// Ended as somebody wished: released, or its last client left.
    Completed,
    /// Ended at its deadline.
    TimedOut,
    /// Ended by a failure: of the browser, of its worker, or of the launch.
    Error,
}

/// A status that does not exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be one of PENDING, RUNNING, ERROR, TIMED_OUT, COMPLETED, not {0:?}")]
pub struct UnknownStatus(String);

/// Why a session ended. The status says how; this says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The caller asked for the end.
    Released,
    /// The last client left a session that was not to be kept alive.
    Disconnected,
    /// Nobody connected in the time given for that.
    NeverConnected,
    /// The session reached its deadline.
    Timeout,
    /// No client sent anything for as long as the session allows.
    Idle,
    /// The browser process died.
    BrowserCrashed,
    /// The browser took more memory than a session may have, and was ended for it.
    OutOfMemory,
    /// The worker went silent, or came back as a new process.
    WorkerLost,
    /// The browser did not start, or not in time.
    LaunchFailed,
    /// The worker was stopped by its operator.
    Killed,
}

/// What can happen to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEvent {
    /// The worker says that the browser answers.
    Ready,
    /// The session is over.
    Ended(EndReason),
}

impl SessionStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Running,
        Self::Completed,
        Self::TimedOut,
        Self::Error,
    ];

    /// The status after `event`, or `None` when it changes nothing: late and repeated messages are normal.
    pub const fn after(self, event: SessionEvent) -> Option<Self> {
        match (self, event) {
            (Self::Pending, SessionEvent::Ready) => Some(Self::Running),
            (Self::Pending | Self::Running, SessionEvent::Ended(reason)) => Some(reason.status()),
            (Self::Running, SessionEvent::Ready) | (Self::Completed | Self::TimedOut | Self::Error, _) => {
                None
            }
        }
    }

    /// Whether nothing can happen to the session any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::TimedOut | Self::Error)
    }

    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::TimedOut => "TIMED_OUT",
            Self::Error => "ERROR",
        }
    }
}

impl FromStr for SessionStatus {
    type Err = UnknownStatus;

    fn from_str(name: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| UnknownStatus(name.to_owned()))
    }
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Released,
        Self::Disconnected,
        Self::NeverConnected,
        Self::Timeout,
        Self::Idle,
        Self::BrowserCrashed,
        Self::OutOfMemory,
        Self::WorkerLost,
        Self::LaunchFailed,
        Self::Killed,
    ];

    /// The status of a session that ended so.
    pub const fn status(self) -> SessionStatus {
        match self {
            Self::Released | Self::Disconnected | Self::NeverConnected | Self::Idle => {
                SessionStatus::Completed
            }
            Self::Timeout => SessionStatus::TimedOut,
            Self::BrowserCrashed
            | Self::OutOfMemory
            | Self::WorkerLost
            | Self::LaunchFailed
            | Self::Killed => SessionStatus::Error,
        }
    }

    /// The name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Disconnected => "disconnected",
            Self::NeverConnected => "never_connected",
            Self::Timeout => "timeout",
            Self::Idle => "idle",
            Self::BrowserCrashed => "browser_crashed",
            Self::OutOfMemory => "out_of_memory",
            Self::WorkerLost => "worker_lost",
            Self::LaunchFailed => "launch_failed",
            Self::Killed => "killed",
        }
    }
}

impl FromStr for EndReason {
    type Err = UnknownStatus;

    fn from_str(name: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name() == name)
            .ok_or_else(|| UnknownStatus(name.to_owned()))
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events() -> impl Strategy<Value = SessionEvent> {
        prop_oneof![
            Just(SessionEvent::Ready),
            proptest::sample::select(EndReason::ALL.to_vec()).prop_map(SessionEvent::Ended),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// 20,000 lives of up to 100 events each: a million steps.
        #[test]
        fn a_life_moves_forward_and_ends_once(events in proptest::collection::vec(events(), 0..100)) {
            let mut status = SessionStatus::Pending;
            let mut passed = vec![status];
            for event in events {
                let before = status;
                if let Some(next) = before.after(event) {
                    prop_assert!(!before.is_terminal(), "{before} was left by {event:?}");
                    prop_assert!(!passed.contains(&next), "{next} was reached twice");
                    passed.push(next);
                    status = next;
                }
            }
            prop_assert!(passed.len() <= 3);
        }
    }

    #[test]
    fn the_first_end_stays_whatever_comes_after_it() {
        let ended = SessionStatus::Running.after(SessionEvent::Ended(EndReason::Timeout));
        assert_eq!(ended, Some(SessionStatus::TimedOut));
        assert_eq!(
            SessionStatus::TimedOut.after(SessionEvent::Ended(EndReason::Released)),
            None
        );
    }

    #[test]
    fn names_are_those_that_serde_writes_and_that_are_read_back() {
        for status in SessionStatus::ALL {
            assert_eq!(serde_json::json!(status), status.name());
            assert_eq!(status.name().parse(), Ok(status));
        }
        for reason in EndReason::ALL {
            assert_eq!(serde_json::json!(reason), reason.name());
            assert_eq!(reason.name().parse(), Ok(reason));
            assert!(reason.status().is_terminal());
        }
    }
}
