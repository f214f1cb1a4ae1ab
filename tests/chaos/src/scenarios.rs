//! What is tried: each scenario is a file, a fleet of its own, and one or more bars.

mod browser_killed;
mod client_killed;
mod cycles;
mod double_launches;
mod greedy;
mod mixed;
mod outage;
mod parallel_creates;
mod postgres_killed;
mod usage;
mod worker_killed;

use futures_util::future::LocalBoxFuture;

use crate::outcome::Outcome;
use crate::run::{Conditions, say};

/// Something to try.
#[derive(Debug)]
pub struct Scenario {
    /// For `--only`.
    pub name: &'static str,
    /// In a line.
    pub about: &'static str,
    /// Sets its stage, does it, and tells what it found.
    pub run: fn(Conditions) -> LocalBoxFuture<'static, anyhow::Result<Outcome>>,
}

/// In the order in which they run.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "parallel-creates",
        about: "1,000 creates at once at a limit of 25, over three apis",
        run: |conditions| Box::pin(parallel_creates::run(conditions)),
    },
    Scenario {
        name: "double-launches",
        about: "answers to creates cut at random bytes, through the unmodified Python and Node SDKs",
        run: |conditions| Box::pin(double_launches::run(conditions)),
    },
    Scenario {
        name: "client-killed",
        about: "kill -9 of a client: its session ends, and its browser goes",
        run: |conditions| Box::pin(client_killed::run(conditions)),
    },
    Scenario {
        name: "browser-killed",
        about: "kill -9 of a browser: its session says so",
        run: |conditions| Box::pin(browser_killed::run(conditions)),
    },
    Scenario {
        name: "worker-killed",
        about: "kill -9 of a worker, which comes back, or does not",
        run: |conditions| Box::pin(worker_killed::run(conditions)),
    },
    Scenario {
        name: "outage",
        about: "every api and Postgres away: live sessions, sockets and reconnects go on",
        run: |conditions| Box::pin(outage::run(conditions)),
    },
    Scenario {
        name: "postgres-killed",
        about: "Postgres stopped at once again and again, under creates",
        run: |conditions| Box::pin(postgres_killed::run(conditions)),
    },
    Scenario {
        name: "usage",
        about: "sessions with every kind of end are billed exactly, and reports that arrive again change nothing",
        run: |conditions| Box::pin(usage::run(conditions)),
    },
    Scenario {
        name: "cycles",
        about: "session after session with Chromium: nothing is left and nothing grows",
        run: |conditions| Box::pin(cycles::run(conditions)),
    },
    Scenario {
        name: "greedy",
        about: "pages that take memory, threads, disk, sockets and CPU without end: their neighbours notice nothing",
        run: |conditions| Box::pin(greedy::run(conditions)),
    },
    Scenario {
        name: "mixed",
        about: "every fault at random, under a load of many clients; then every invariant",
        run: |conditions| Box::pin(mixed::run(conditions)),
    },
];

/// Names them.
pub fn list() {
    for scenario in ALL {
        say(&format!("{:<18} {}", scenario.name, scenario.about));
    }
}
