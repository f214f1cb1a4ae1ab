//! What clients asked and what they were answered: an append-only file, and the same in memory for the checker.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// Something that a client saw.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", tag = "what")]
pub enum Seen {
    /// It asked for a session.
    Asked { create: usize },
    /// It was told that it has one.
    Acknowledged {
        create: usize,
        session: String,
        project: String,
    },
    /// It was told that it has none.
    Refused { create: usize, status: u16 },
    /// It was told nothing.
    Unanswered { create: usize, error: String },
    /// It drove the browser.
    Drove { session: String, count: u64 },
    /// It could not connect, or was cut off.
    Lost { session: String, error: String },
    /// It asked for the end.
    Released { session: String, status: u16 },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    at_ms: u128,
    client: usize,
    #[serde(flatten)]
    seen: &'a Seen,
}

/// The log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LoadLog(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    file: File,
    entries: Vec<Seen>,
    violations: Vec<String>,
}

impl LoadLog {
    /// A log in this folder.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Inner {
            started: Instant::now(),
            file: File::create(folder.join("load.jsonl"))?,
            entries: Vec::new(),
            violations: Vec::new(),
        }))))
    }

    /// Adds a line.
    pub fn add(&self, client: usize, seen: Seen) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line {
            at_ms: inner.started.elapsed().as_millis(),
            client,
            seen: &seen,
        };
        let line = serde_json::to_string(&line).unwrap_or_default();
        // A log that cannot be written is still in memory.
        let _ = writeln!(inner.file, "{line}");
        inner.entries.push(seen);
    }

    /// Notes what a client saw that no client may see.
    pub fn violation(&self, what: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .violations
            .push(what);
    }

    /// Everything so far.
    pub fn entries(&self) -> Vec<Seen> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entries
            .clone()
    }

    /// What clients saw that no client may see.
    pub fn violations(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .violations
            .clone()
    }
}
