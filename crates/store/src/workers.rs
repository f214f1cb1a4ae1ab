//! The table `workers`.

mod enroll;
mod find;
mod register;
mod renew;

pub use enroll::enroll;
pub use find::find;
pub use register::{Registration, register};
pub use renew::renew;
