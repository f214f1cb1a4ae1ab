//! Browserbase's dialect, under `/v1`.

pub(crate) mod certificates;
mod names;
pub(crate) mod projects;
pub(crate) mod sessions;
mod timestamp;
