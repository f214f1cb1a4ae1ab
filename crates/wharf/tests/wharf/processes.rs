//! Looking for processes that should be gone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The ids of processes whose command line names a path below `folder`.
pub(crate) fn naming(folder: &Path) -> Vec<u32> {
    let folder = folder.to_string_lossy().into_owned();
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            *pid != std::process::id() && String::from_utf8_lossy(&command).contains(&folder)
        })
        .collect()
}

/// The ids of every descendant of a process.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for thread in fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok());
            parents.extend(children.clone());
            found.extend(children);
        }
    }
    found
}

/// Waits until none of these processes is left. There is no event for the end of a stranger's process.
pub(crate) async fn all_end(pids: &[u32], within: Duration) -> bool {
    let started = Instant::now();
    while pids.iter().any(|pid| alive(*pid)) {
        if started.elapsed() > within {
            return false;
        }
        sleep(Duration::from_millis(20)).await;
    }
    true
}

/// A process that has ended but was not waited for yet counts as ended.
fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        !matches!(state, Some('Z' | 'X') | None)
    })
}
