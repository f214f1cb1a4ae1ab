//! A session's life and the options that shape it.

mod actor;
mod allowed_domain;
mod idle_timeout;
mod state;
mod timeout;
mod viewport;

pub use actor::Actor;
pub use allowed_domain::{AllowedDomain, InvalidAllowedDomain, may_navigate};
pub use idle_timeout::{IdleTimeout, InvalidIdleTimeout};
pub use state::{EndReason, SessionEvent, SessionStatus, UnknownStatus};
pub use timeout::{InvalidTimeout, SessionTimeout};
pub use viewport::{InvalidViewport, Viewport};
