//! The real binary, with a real Postgres and a real Chromium.

mod administration;
mod bad_input;
mod chromium_warm;
mod content;
mod doctor;
mod egress;
mod embedded;
mod fleet;
mod lifecycle;
mod limits;
mod polling;
mod processes;
mod proxy_pool;
mod repeated;
mod site;
mod tenancy;
mod waiting;

/// The binary under test.
const WHARF: &str = env!("CARGO_BIN_EXE_wharf");
