//! The table `workers`.

mod drain;
mod enroll;
mod find;
mod leases;
mod list;
mod register;
mod renew;

pub use drain::drain;
pub use enroll::enroll;
pub use find::find;
pub use leases::{Lease, leases};
pub use list::{WorkerRow, list};
pub use register::{Registration, register};
pub use renew::{Renewal, renew};
