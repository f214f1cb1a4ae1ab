//! What Wharf does, one use case a file. The only part that writes to Postgres and gives orders to workers.
//!
//! A use case takes the [`Control`], whoever calls, and values; it answers with values or an [`Error`]. It knows nothing
//! of HTTP. [`reconcile`] finishes what a crash left half-done; any number of replicas may run it.

pub mod api_keys;
mod authenticate;
pub mod certificates;
mod control;
mod deliveries;
mod error;
pub mod projects;
mod queue;
pub mod reconcile;
mod repeat;
pub mod sessions;
mod timings;
mod worker_client;
pub mod workers;

pub use authenticate::{Caller, WorkerCaller, authenticate, authenticate_worker};
pub use control::{Control, ControlOptions};
pub use deliveries::note_delivery;
pub use error::{Error, Window};
pub use timings::Timings;

use repeat::repeat;
