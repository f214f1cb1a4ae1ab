//! Looks on during a run: what must hold at every moment, not only at its end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;
use wharf_testkit::{Audit, Counter, Pids};

use crate::browsers::{self, BrowserProcess};

const EVERY: Duration = Duration::from_secs(1);
/// How long a browser may run for nobody.
const ORPHAN_LIMIT: Duration = Duration::from_secs(30);

/// Looks until it is finished.
#[derive(Debug)]
pub struct Monitor {
    _tasks: JoinSet<()>,
    seen: Arc<Mutex<Sightings>>,
}

#[derive(Debug, Default)]
struct Sightings {
    looks: usize,
    statuses: HashMap<Uuid, (String, i32)>,
    orphans: HashMap<u32, Instant>,
    violations: Vec<String>,
}

impl Monitor {
    /// Starts looking.
    pub fn start(audit: Audit, workers: Vec<Pids>) -> Self {
        let seen = Arc::new(Mutex::new(Sightings::default()));
        let shared = Arc::clone(&seen);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                look(&audit, &workers, &shared).await;
                sleep(EVERY).await;
            }
        });
        Self { _tasks: tasks, seen }
    }

    /// How often it looked, and what it saw that must never be.
    pub fn finish(self) -> (usize, Vec<String>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.looks, std::mem::take(&mut seen.violations))
    }
}

async fn look(audit: &Audit, workers: &[Pids], seen: &Mutex<Sightings>) {
    // Browsers first: one that starts later has a row by then.
    let running = browsers::running(workers);
    let (Ok(projects), Ok(slots), Ok(sessions)) = (
        audit.projects().await,
        audit.workers().await,
        audit.sessions().await,
    ) else {
        // Postgres is away. Nobody can be told to kill anything, so the clocks of orphans start anew.
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .orphans
            .clear();
        return;
    };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.looks += 1;
    projects
        .iter()
        .for_each(|counter| seen.check_counter("project", counter));
    slots
        .iter()
        .for_each(|counter| seen.check_counter("worker", counter));
    let mut live = HashMap::new();
    for session in &sessions {
        if !session.is_terminal() {
            live.insert(session.id, session.generation);
        }
        seen.check_step(session.id, &session.status, session.generation);
    }
    seen.check_browsers(&running, &live);
}

impl Sightings {
    fn check_counter(&mut self, kind: &str, counter: &Counter) {
        let Counter {
            name,
            counted,
            live,
            limit,
        } = counter;
        if counted != live {
            self.violations.push(format!(
                "I6: {kind} {name} counts {counted} sessions, {live} are live"
            ));
        }
        if live > limit {
            self.violations.push(format!(
                "I6: {kind} {name} has {live} sessions, its limit is {limit}"
            ));
        }
    }

    fn check_step(&mut self, id: Uuid, status: &str, generation: i32) {
        let now = (status.to_owned(), generation);
        let Some(before) = self.statuses.insert(id, now) else {
            return;
        };
        let (was, was_generation) = (&before.0, before.1);
        let forward = was == status || rank(was) < rank(status);
        // A new launch of a session that waits is a step forward too.
        if !forward || generation < was_generation {
            self.violations.push(format!(
                "I2: session {id} went from {was} (generation {was_generation}) to {status} (generation {generation})"
            ));
        }
    }

    fn check_browsers(&mut self, running: &[BrowserProcess], live: &HashMap<Uuid, i32>) {
        let mut names: HashMap<&str, u32> = HashMap::new();
        for browser in running.iter().filter(|browser| browser.session().is_some()) {
            if let Some(other) = names.insert(&browser.name, browser.pid) {
                self.violations.push(format!(
                    "I3: browsers {other} and {} are both that of {}",
                    browser.pid, browser.name
                ));
            }
        }
        let now = Instant::now();
        self.orphans
            .retain(|pid, _| running.iter().any(|browser| browser.pid == *pid));
        for browser in running {
            let Some(session) = browser.session() else {
                continue;
            };
            // A worker that is paused can end nothing; its clock starts when it goes on.
            if live.contains_key(&session) || browsers::is_paused(browser.owner) {
                self.orphans.remove(&browser.pid);
                continue;
            }
            let since = *self.orphans.entry(browser.pid).or_insert(now);
            if now - since > ORPHAN_LIMIT {
                self.violations.push(format!(
                    "I3: browser {} ({}) has run for {:?} without a live session",
                    browser.pid,
                    browser.name,
                    now - since
                ));
                self.orphans.insert(browser.pid, now + Duration::from_secs(3_600));
            }
        }
    }
}

fn rank(status: &str) -> u8 {
    match status {
        "PENDING" => 0,
        "RUNNING" => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> Uuid {
        Uuid::from_u128(7)
    }

    #[test]
    fn steps_forward_are_none_of_its_business_and_steps_back_are() {
        let mut seen = Sightings::default();
        for status in ["PENDING", "RUNNING", "RUNNING", "COMPLETED"] {
            seen.check_step(id(), status, 1);
        }
        assert_eq!(seen.violations, [""; 0]);
        seen.check_step(id(), "ERROR", 1);
        seen.check_step(id(), "RUNNING", 1);
        assert_eq!(seen.violations.len(), 2, "{:?}", seen.violations);
    }

    #[test]
    fn a_wrong_counter_and_a_twin_are_seen() {
        let mut seen = Sightings::default();
        let counter = |counted, live, limit| Counter {
            name: "x".to_owned(),
            counted,
            live,
            limit,
        };
        seen.check_counter("project", &counter(2, 2, 2));
        assert_eq!(seen.violations, [""; 0]);
        seen.check_counter("project", &counter(1, 2, 2));
        seen.check_counter("project", &counter(3, 3, 2));
        let browser = |pid| BrowserProcess {
            pid,
            group: pid,
            owner: 0,
            name: format!("{}-1", id()),
        };
        let live = HashMap::from([(id(), 1)]);
        seen.check_browsers(&[browser(1)], &live);
        assert_eq!(seen.violations.len(), 2);
        seen.check_browsers(&[browser(1), browser(2)], &live);
        assert_eq!(seen.violations.len(), 3);
    }
}
