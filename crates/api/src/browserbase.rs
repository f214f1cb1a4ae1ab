//! Browserbase's dialect, under `/v1`.

mod names;
pub(crate) mod projects;
pub(crate) mod sessions;
mod timestamp;
