//! Why a request got no answer from the world.

use std::io;
use std::time::Duration;

use hyper::StatusCode;

use crate::address::Refusal;
use crate::upstream::ProbeError;

/// Why a request got no answer from the world. Displays as a sentence without a full stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What is wrong with the request.
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the address {0}")]
    Address(Refusal),
    #[error("the blocklist of this browser has it")]
    Blocked,
    #[error("the name was not found")]
    NameNotFound,
    #[error("the connection was refused")]
    Refused,
    #[error("the host cannot be reached: {0}")]
    Unreachable(io::Error),
    #[error("no connection within {} s", .0.as_secs())]
    ConnectTimedOut(Duration),
    #[error("no answer within {} s", .0.as_secs())]
    AnswerTimedOut(Duration),
    #[error("the connection was closed before the answer")]
    Closed,
    #[error("the answer is not HTTP, or its head is too long")]
    MalformedAnswer,
    #[error("the upstream proxy: {0}")]
    Upstream(ProbeError),
    #[error("this browser has too many exchanges open")]
    TooManyExchanges,
    #[error("this machine has no more sockets")]
    OutOfSockets,
    /// The world closed a kept-alive connection under a request. The browser knows best whether to repeat it, and does
    /// when its own connection ends likewise.
    #[error("a kept-alive connection was closed")]
    BrokenOff,
}

impl Failure {
    pub(crate) fn of_dial(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            // Linux: too many open files in the process, or in the system.
            _ if matches!(error.raw_os_error(), Some(23 | 24)) => Self::OutOfSockets,
            _ => Self::Unreachable(error),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Address(_) | Self::Blocked | Self::Upstream(ProbeError::Address(_)) => {
                StatusCode::FORBIDDEN
            }
            Self::ConnectTimedOut(_)
            | Self::AnswerTimedOut(_)
            | Self::Upstream(ProbeError::TimedOut | ProbeError::TunnelTimedOut) => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::TooManyExchanges | Self::OutOfSockets => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// A word for machines, in `x-wharf-egress`.
    pub(crate) fn code(&self) -> String {
        let code = match self {
            Self::Address(refusal) => return format!("address-{}", refusal.rule.code()),
            Self::Upstream(error) => return error.code(),
            Self::Malformed(_) => "bad-request",
            Self::Blocked => "blocked",
            Self::NameNotFound => "name-not-found",
            Self::Refused => "connection-refused",
            Self::Unreachable(_) => "unreachable",
            Self::ConnectTimedOut(_) => "connect-timeout",
            Self::AnswerTimedOut(_) => "answer-timeout",
            Self::Closed | Self::BrokenOff => "closed-early",
            Self::MalformedAnswer => "malformed-answer",
            Self::TooManyExchanges => "limit-exchanges",
            Self::OutOfSockets => "limit-sockets",
        };
        code.to_owned()
    }
}
