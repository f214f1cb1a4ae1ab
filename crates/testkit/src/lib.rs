//! A whole Wharf in a test: a real Postgres with a database of the test's own, and the real binary as a process.

mod database;
mod tenant;
mod wharf;

pub use database::{TestDatabase, projects_seen_without_a_role};
pub use tenant::Tenant;
pub use wharf::{Answer, Wharf};
