//! What callers do with the certificates that their sessions are to trust.

mod create;
mod delete;
mod get;
mod list;
mod pem;
mod trusted;

pub use create::create;
pub use delete::delete;
pub use get::get;
pub use list::list;
pub use pem::MOST_BYTES;
pub(crate) use trusted::trusted;
