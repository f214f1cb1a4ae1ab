//! What workers report, and what they are told; what an operator does with them.

mod drain;
mod enroll;
mod heartbeat;
mod list;
mod register;
mod report;

pub use drain::drain;
pub use enroll::enroll;
pub use heartbeat::heartbeat;
pub use list::list;
pub use register::register;
