//! Whole lives of sessions, on fake browsers and paused time.

mod ends;
mod launches;

use std::sync::Arc;
use std::time::Duration;

use wharf_domain::{EndReason, Generation, Millis};
use wharf_protocol::ObservedStatus;

use super::*;
use crate::agent::LaunchRefusal;
use crate::agent::testing::{Staged, request};
use crate::browser::Exit;
use crate::browser::testing::FakeBrowsers;

fn staged(slots: u32) -> Staged {
    Staged::new(FakeBrowsers::new(), slots)
}
