//! Every SQL statement of Wharf: one module per table, one file per question.
//!
//! A statement runs in a transaction that has taken a role first: [`TenantTransaction`] for what one project may see,
//! [`SystemTransaction`] for reconcilers, workers and the administrator. Row level security holds both to it. The two
//! are different types, so a function cannot be called with the wrong one.

pub mod api_keys;
pub mod certificates;
pub mod control_plane;
mod error;
mod pool;
pub mod projects;
pub mod reconcile_failures;
mod schema;
pub mod session_creations;
pub mod sessions;
mod transaction;
mod warm_up;
pub mod workers;

pub use error::StoreError;
pub use pool::{Store, StoreOptions};
pub use transaction::{SystemTransaction, TenantTransaction};
