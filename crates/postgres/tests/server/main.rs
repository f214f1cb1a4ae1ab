//! Against the machine's real PostgreSQL, each test with a cluster of its own.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod folder;
mod lifecycle;
mod recovery;
mod support;
