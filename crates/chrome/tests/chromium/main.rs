//! The crate against a real Chromium, or a script that plays one. For nextest, which gives each test a process of
//! its own: the tests count the children of theirs.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod ending;
mod failure;
mod files;
mod isolation;
mod jail;
mod limits;
mod navigation;
mod ready;
mod sampling;
mod support;
mod trust;
