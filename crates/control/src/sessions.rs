//! What callers do with sessions.

mod admission;
mod create;
mod events;
mod get;
mod launch;
mod list;
mod release;
mod repeated;
mod view;

pub use create::{Capability, CreateSession, Created, RepeatableCall, create};
pub use events::events;
pub use get::get;
pub use list::{ListSessions, SessionPage, list};
pub use release::{release, release_all};
pub use view::{Connection, SessionView};
