//! A session's life and the options that shape it.

mod state;
mod timeout;
mod viewport;

pub use state::{EndReason, SessionEvent, SessionStatus, UnknownStatus};
pub use timeout::{InvalidTimeout, SessionTimeout};
pub use viewport::{InvalidViewport, Viewport};
