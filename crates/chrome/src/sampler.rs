//! What a browser uses: processor time and memory of its whole process tree.

use crate::process::Family;
use crate::procfs::{self, Stat, Statm};
use rustix::process::Pid;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The use of a whole process tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Processor time so far, user and system, children that have ended included. Never falls. In steps of
    /// 10 ms per process, the kernel's unit.
    pub cpu: Duration,
    /// Bytes, as proportional set size: a page shared by n processes counts 1/n in each. Where the kernel does
    /// not let us read that, the process counts with its private memory (resident less shared) only.
    pub memory: u64,
    /// Processes alive.
    pub processes: u32,
}

/// A process counts with its last measured memory until its resident or shared size has moved by this many bytes:
/// the kernel walks every page to measure, 1-5 ms per process.
const UNCHANGED: u64 = 1 << 20;
/// After this many samples it is measured again all the same, because sharing changes with the neighbours.
const REUSES: u8 = 8;

/// Measures one browser. A cheap handle; clones share what was measured before.
#[derive(Debug, Clone)]
pub struct Sampler {
    family: Arc<Family>,
    past: Arc<Mutex<Past>>,
}

#[derive(Debug, Default)]
struct Past {
    cpu: Duration,
    memory: HashMap<Pid, Memory>,
}

/// What a process was last measured to use, and the sizes it had then.
#[derive(Debug, Clone)]
struct Memory {
    pages: Statm,
    bytes: u64,
    reused: u8,
}

impl Sampler {
    pub(crate) fn of(family: &Arc<Family>) -> Sampler {
        Sampler {
            family: Arc::clone(family),
            past: Arc::default(),
        }
    }

    /// Processor time alone, as in [`Sample::cpu`], or `None` when the browser is gone. Blocks for 1-2 ms.
    pub fn cpu(&self) -> Option<Duration> {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.cpu = past.cpu.max(duration(self.ticks()?));
        Some(past.cpu)
    }

    /// Processor time of those alive, in clock ticks, or `None` when the browser is gone.
    pub(crate) fn ticks(&self) -> Option<u64> {
        let (mut ticks, mut alive) = (0, false);
        for (_, stat) in self.processes() {
            ticks += stat.ticks;
            alive |= !stat.zombie;
        }
        (alive && !self.family.is_reaped()).then_some(ticks)
    }

    /// The browser's processes, or `None` when it is gone.
    pub(crate) fn pids(&self) -> Option<Vec<Pid>> {
        let alive = self.processes().filter(|(_, stat)| !stat.zombie);
        let pids: Vec<Pid> = alive.map(|(pid, _)| pid).collect();
        (!pids.is_empty() && !self.family.is_reaped()).then_some(pids)
    }

    /// Measures now, or answers `None` when the browser is gone.
    ///
    /// Blocks for file reads. The first sample walks every page of the browser: some 20 ms of processor time. While
    /// the browser is idle the following ones take 1-5 ms (medians of 20 browsers, Chromium 156, 11 processes).
    pub fn sample(&self) -> Option<Sample> {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = HashMap::new();
        let mut ticks = 0;
        for (pid, stat) in self.processes() {
            ticks += stat.ticks;
            if let (false, Some(pages)) = (stat.zombie, procfs::statm(pid)) {
                memory.insert(pid, Memory::of(pid, pages, past.memory.get(&pid)));
            }
        }
        if self.family.is_reaped() || memory.is_empty() {
            return None;
        }
        past.cpu = past.cpu.max(duration(ticks));
        past.memory = memory;
        Some(Sample {
            cpu: past.cpu,
            memory: past.memory.values().map(|memory| memory.bytes).sum(),
            processes: u32::try_from(past.memory.len()).unwrap_or(u32::MAX),
        })
    }

    /// The browser's processes, parents before children: a child that ends in between is then missed once, and
    /// counted in its parent's time at the next sample. The other way round it would be counted twice.
    fn processes(&self) -> impl Iterator<Item = (Pid, Stat)> {
        let mut waiting = self.family.strays();
        waiting.push(self.family.leader());
        std::iter::from_fn(move || {
            loop {
                let pid = waiting.pop()?;
                let Some(stat) = procfs::stat(pid) else { continue };
                if !stat.zombie {
                    waiting.extend(procfs::children(pid));
                }
                return Some((pid, stat));
            }
        })
    }
}

impl Memory {
    fn of(pid: Pid, pages: Statm, past: Option<&Memory>) -> Memory {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let moved = |now: u64, then: u64| now.abs_diff(then).saturating_mul(page) >= UNCHANGED;
        let unchanged = |past: &&Memory| {
            let same = !moved(pages.resident, past.pages.resident) && !moved(pages.shared, past.pages.shared);
            same && past.reused < REUSES
        };
        if let Some(past) = past.filter(unchanged) {
            return Memory {
                reused: past.reused + 1,
                ..past.clone()
            };
        }
        let bytes = match procfs::pss(pid) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                pages.resident.saturating_sub(pages.shared).saturating_mul(page)
            }
            // It ended between the two reads.
            Err(_) => 0,
        };
        Memory {
            pages,
            bytes,
            reused: 0,
        }
    }
}

fn duration(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_millis(ticks.saturating_mul(1000) / per_second)
}
