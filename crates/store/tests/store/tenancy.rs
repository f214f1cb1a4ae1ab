//! One project never sees or touches another's rows.

mod catalogue;
mod interleaved;
mod roles;
mod walls;
