//! What one browser may use at most, and how it is held to that.
//!
//! Where the machine lets us have control groups (`limits/cgroup.rs`) the kernel does it. Where it does not, a task of
//! ours looks at the browser some times a second (`limits/guard.rs`). The number of processes is a jail's own
//! resource limit either way.

mod autogroup;
pub(crate) mod cgroup;
mod delegation;
pub(crate) mod guard;
mod interval;
mod parse;
mod priority;
#[cfg(test)]
mod tests;
pub(crate) mod view;

pub use delegation::NoControlGroups;
pub(crate) use delegation::{ControlGroups, Machine};
pub use parse::InvalidLimit;

/// What one browser may use at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its memory; as much as there is without.
    pub memory: Option<MemoryLimit>,
    /// Its share of the cores; as much as there is without.
    pub cpu: Option<CpuLimit>,
    /// Its processes and threads; held only in a jail.
    pub processes: ProcessLimit,
}

/// Bytes of a browser: what its processes have to themselves, and what lies in its file systems in memory. Programs and
/// libraries, which all browsers share, do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryLimit(u64);

/// A share of the cores, in hundredths of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuLimit(u32);

/// A number of processes and threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessLimit(u32);

/// By whom a browser is held to its limits of memory and CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// Whoever ends it for its memory.
    pub memory: Holder,
    /// Whoever keeps it from the others' cores.
    pub cpu: Holder,
    /// Why the kernel does not hold them, where it does not.
    pub without_groups: Option<NoControlGroups>,
}

/// Who holds a browser to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The kernel, by a control group of its own.
    ControlGroup,
    /// We do, by looking often, and by a low priority for whoever has too much of the cores.
    Watching,
    /// Nothing does here.
    Nobody,
}

impl MemoryLimit {
    /// A browser with one empty page has some 150 MB.
    pub const LEAST: MemoryLimit = MemoryLimit(256 << 20);

    /// # Errors
    /// It is less than [`MemoryLimit::LEAST`].
    pub const fn of_bytes(bytes: u64) -> Result<MemoryLimit, InvalidLimit> {
        match bytes >= MemoryLimit::LEAST.0 {
            true => Ok(MemoryLimit(bytes)),
            false => Err(InvalidLimit::Memory),
        }
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl CpuLimit {
    /// With less, a browser does not start in time.
    pub const LEAST: CpuLimit = CpuLimit(10);

    /// # Errors
    /// It is less than [`CpuLimit::LEAST`], a tenth of a core.
    pub const fn of_percent(percent: u32) -> Result<CpuLimit, InvalidLimit> {
        match percent >= CpuLimit::LEAST.0 {
            true => Ok(CpuLimit(percent)),
            false => Err(InvalidLimit::Cpu),
        }
    }

    /// In hundredths of a core.
    pub const fn percent(self) -> u32 {
        self.0
    }
}

impl ProcessLimit {
    /// A browser with one empty page has some 150 threads.
    pub const LEAST: ProcessLimit = ProcessLimit(256);

    /// # Errors
    /// It is less than [`ProcessLimit::LEAST`].
    pub const fn of(number: u32) -> Result<ProcessLimit, InvalidLimit> {
        match number >= ProcessLimit::LEAST.0 {
            true => Ok(ProcessLimit(number)),
            false => Err(InvalidLimit::Processes),
        }
    }

    /// How many.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Default for ProcessLimit {
    /// A heavy page has some 300 threads.
    fn default() -> ProcessLimit {
        ProcessLimit(2_048)
    }
}
