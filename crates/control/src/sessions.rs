//! What callers do with sessions.

mod create;
mod get;
mod list;
mod release;
mod view;

pub(crate) use create::LAUNCH_WITHIN;
pub use create::{Capability, CreateSession, Created, create};
pub use get::get;
pub use list::{ListSessions, SessionPage, list};
pub use release::release;
pub use view::{Connection, SessionView};
