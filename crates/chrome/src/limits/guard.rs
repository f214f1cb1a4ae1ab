//! Holds a browser to its limits where the kernel does not do it for us.

use super::interval::next_look;
use super::priority::Priority;
use super::view::View;
use super::{Limits, MemoryLimit};
use crate::process::Family;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pages that processes share count once in each at a cheap look. A browser whose processes seem to have so many times
/// its limit is not measured exactly, which would take as long as there are pages to walk.
const BEYOND_DOUBT: u64 = 2;
/// A browser that is being started.
const NOT_YET: Duration = Duration::from_millis(100);

/// What is decided about a browser.
#[derive(Debug)]
enum Verdict {
    LookAfter(Duration),
    /// It is gone, or ended.
    Over,
}

/// Watches one browser.
#[derive(Debug)]
struct Guard {
    family: Arc<Family>,
    memory: Option<MemoryLimit>,
    priority: Option<Priority>,
    view: Option<View>,
}

/// Looks at the browser until it is gone, or has more than it may and is ended. To be dropped with the browser.
pub(crate) async fn watch(family: Arc<Family>, limits: Limits) {
    if limits.memory.is_none() && limits.cpu.is_none() {
        return;
    }
    let mut guard = Guard {
        family,
        memory: limits.memory,
        priority: limits.cpu.map(Priority::under),
        view: None,
    };
    let mut pause = NOT_YET;
    loop {
        tokio::time::sleep(pause).await;
        let looked = tokio::task::spawn_blocking(move || {
            let verdict = guard.look();
            (guard, verdict)
        });
        match looked.await {
            Ok((watching, Verdict::LookAfter(next))) => (guard, pause) = (watching, next),
            // Fails only when the runtime shuts down.
            Ok((_, Verdict::Over)) | Err(_) => return,
        }
    }
}

impl Guard {
    fn look(&mut self) -> Verdict {
        if self.view.is_none() {
            self.view = self.family.view();
        }
        let Some(view) = &self.view else {
            return match self.family.is_reaped() {
                true => Verdict::Over,
                false => Verdict::LookAfter(NOT_YET),
            };
        };
        let began = Instant::now();
        let Some(used) = view.memory() else {
            return Verdict::Over;
        };
        if let Some(limit) = self.memory
            && let Some(used) = excess(view, used, limit)
        {
            tracing::warn!(
                leader = %self.family.leader(), used, limit = limit.bytes(),
                "a browser has {} MiB of memory and may have {limit}: it is ended", used >> 20,
            );
            self.family.exceeded_memory();
            return Verdict::Over;
        }
        if let Some(priority) = &mut self.priority {
            priority.look(view, began);
        }
        let left = self
            .memory
            .map_or(u64::MAX, |limit| limit.bytes().saturating_sub(used));
        Verdict::LookAfter(next_look(left, began.elapsed()))
    }
}

/// The browser's memory, if that is too much.
fn excess(view: &View, used: u64, limit: MemoryLimit) -> Option<u64> {
    let limit = limit.bytes();
    match used {
        _ if used <= limit => None,
        _ if used / BEYOND_DOUBT > limit => Some(used),
        _ => view.exact_memory().filter(|&exact| exact > limit),
    }
}
