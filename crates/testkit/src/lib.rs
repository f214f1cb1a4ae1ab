//! A whole Wharf in a test: a real Postgres with a database of the test's own, and the real binary as a process, or as
//! the many processes of a fleet.

mod api_client;
mod audit;
mod cdp;
mod database;
mod fleet;
mod tenant;
mod wharf;

pub use api_client::{Answer, ApiClient};
pub use audit::{Audit, AuditedSession, Counter};
pub use cdp::{COUNT_UP, Cdp};
pub use database::{TestDatabase, projects_seen_without_a_role};
pub use fleet::{Addresses, Fleet, FleetOptions, FleetPostgres, FleetWorker, Pids, RoleProcess, Routes};
pub use tenant::Tenant;
pub use wharf::Wharf;
