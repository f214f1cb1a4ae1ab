//! Why a use case was refused or failed. Each error has two messages: `Display` is what the caller may know, `source`
//! is what we need to know, and is logged where the error becomes an answer.

use std::fmt;
use std::time::Duration;

use wharf_store::StoreError;

/// Refusals and failures of use cases.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense as it is.
    #[error("{0}")]
    Invalid(String),
    /// The request is valid, but the operator does not offer what it asks for.
    #[error("{0}")]
    NotOffered(String),
    /// The caller did not prove who it is.
    #[error("Unauthorized: {0}")]
    Unauthorized(&'static str),
    /// There is no such thing, or it is another project's: the caller cannot tell which.
    #[error("{what} {id} not found")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id, as it was asked for.
        id: String,
    },
    /// The request goes against the present state.
    #[error("{0}")]
    Conflict(String),
    /// The `Idempotency-Key` was used for a call with another body.
    #[error(
        "This Idempotency-Key was used for a call with another body; use a new key for a new session, or send the same body"
    )]
    KeyReused,
    /// A limit of the project is reached.
    #[error("{message}")]
    Limit {
        /// Which limit, where it stands, and what to do.
        message: String,
        /// The creation window.
        window: Window,
        /// When trying again may work.
        retry_after: Duration,
    },
    /// The request is valid, but Wharf cannot honour it yet, and ignoring that would mislead.
    #[error("{0}")]
    NotImplemented(String),
    /// Not now.
    #[error("{message}")]
    Unavailable {
        /// What is missing.
        message: String,
        /// When trying again may work.
        retry_after: Duration,
        /// What we need to know.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Our fault.
    #[error("An internal error occurred; the operator finds it in the log by the request id")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where a project's creation window stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Creates allowed in a window of 60 s.
    pub limit: i32,
    /// Creates left in it.
    pub remaining: i32,
    /// How long until it ends.
    pub resets_in: Duration,
}

impl Error {
    /// There is no such thing.
    pub fn not_found(what: &'static str, id: &dyn fmt::Display) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Undone(_) => Self::Unavailable {
                message: "The database cannot do it now; try again in a moment".to_owned(),
                retry_after: Duration::from_secs(1),
                source: Some(Box::new(error)),
            },
            other => Self::Internal(Box::new(other)),
        }
    }
}
