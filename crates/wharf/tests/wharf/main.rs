//! The real binary, with a real Postgres and a real Chromium.

mod administration;
mod bad_input;
mod chromium_warm;
mod embedded;
mod lifecycle;
mod processes;
mod tenancy;

/// The binary under test.
const WHARF: &str = env!("CARGO_BIN_EXE_wharf");
