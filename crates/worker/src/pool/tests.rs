//! The pool on fake browsers and paused time.

mod chromium;
mod claims;
mod refills;

use super::testing::{FakeFit, FakeMachine, FakeSpares};
use super::*;
use crate::agent::testing::request;

const WITHIN: Duration = Duration::from_secs(30);

/// Launches, and says which browser it was.
async fn claim(pool: &WarmPool<FakeSpares>) -> Box<dyn Browser> {
    pool.launch(&request(1), WITHIN).await.unwrap()
}
