//! What workers report, and what they are told.

mod enroll;
mod heartbeat;
mod register;

pub use enroll::enroll;
pub use heartbeat::heartbeat;
pub use register::register;
