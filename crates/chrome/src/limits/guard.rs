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
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    LookAfter(Duration),
    /// It is gone.
    Over,
}

/// Watches one browser.
#[derive(Debug)]
struct Guard {
    family: Arc<Family>,
    memory: Option<MemoryLimit>,
    priority: Option<Priority>,
    view: Option<View>,
    /// Whether it had too much, and is to be gone.
    condemned: bool,
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
        condemned: false,
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
    /// Nothing but the end of all its processes is taken for the browser's end: who cannot be seen may be there, and we be
    /// out of descriptors.
    fn look(&mut self) -> Verdict {
        if self.family.is_reaped() {
            return Verdict::Over;
        }
        if self.condemned {
            self.family.exceeded_memory();
            return Verdict::LookAfter(NOT_YET);
        }
        // Where a jail could not be looked into it may be by now.
        if !matches!(self.view, Some(View::Jail(_))) {
            self.view = self.family.view().or_else(|| self.view.take());
        }
        let began = Instant::now();
        let seen = self.view.take().and_then(|view| Some((view.memory()?, view)));
        let Some((used, view)) = seen else {
            return Verdict::LookAfter(NOT_YET);
        };
        let verdict = self.judge(&view, used, began);
        self.view = Some(view);
        verdict
    }

    fn judge(&mut self, view: &View, used: u64, began: Instant) -> Verdict {
        if let Some(limit) = self.memory
            && let Some(used) = excess(view, used, limit)
        {
            tracing::warn!(
                leader = %self.family.leader(), used, limit = limit.bytes(),
                "a browser has {} MiB of memory and may have {limit}: it is ended", used >> 20,
            );
            self.condemned = true;
            self.family.exceeded_memory();
            return Verdict::LookAfter(NOT_YET);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Processes;
    use rustix::process::Pid;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    fn guard(processes: &Processes, memory: u64) -> Guard {
        Guard {
            family: Arc::clone(processes.family()),
            memory: MemoryLimit::of_bytes(memory).ok(),
            priority: None,
            view: None,
            condemned: false,
        }
    }

    fn running() -> Pid {
        let child = Command::new("sleep").arg("600").process_group(0).spawn();
        Pid::from_child(&child.unwrap())
    }

    #[test]
    fn a_browser_that_cannot_be_seen_is_looked_for_until_it_is_reaped() {
        // Its first process is never found.
        let processes = Processes::jail(running(), Vec::new(), None);
        let mut guard = guard(&processes, 256 << 20);
        assert_eq!(guard.look(), Verdict::LookAfter(NOT_YET));
        assert_eq!(guard.look(), Verdict::LookAfter(NOT_YET));
        guard.family.destroy();
        assert_eq!(guard.look(), Verdict::Over);
    }

    #[test]
    fn one_that_has_ended_is_not_over_before_it_is_reaped() {
        let processes = Processes::group(running(), std::env::temp_dir(), None);
        let mut guard = guard(&processes, 256 << 20);
        assert!(matches!(guard.look(), Verdict::LookAfter(_)));
        assert!(guard.view.is_some());
        guard.family.kill();
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(guard.family.leader()), ended).unwrap();
        assert_eq!(guard.look(), Verdict::LookAfter(NOT_YET));
        guard.family.destroy();
        assert_eq!(guard.look(), Verdict::Over);
    }
}
