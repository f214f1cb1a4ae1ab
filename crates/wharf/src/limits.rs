//! What a session may use, as flags say it.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

use clap::Args;
use wharf_chrome::{
    CpuLimit, Enforcement, Holder, InvalidLimit, Limits, MemoryLimit, NoControlGroups, ProcessLimit,
};

/// What a session gets where nobody has said anything: a heavy page has less than one.
const USUAL_MEMORY: u64 = 2 << 30;
/// On a small machine, one session may have this part of its memory: one in this many.
const SHARE_OF_MACHINE: u64 = 2;
const MOST_CORES: usize = 4;
const OWN_GROUP: &str = "give this service a control group of its own (systemd: Delegate=yes)";

/// Limits of each session.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits of each session")]
pub(crate) struct SessionLimits {
    /// Its memory, as in 768MiB or 2GiB, or `none`. A session that takes more ends with `out_of_memory`. By default 2GiB,
    /// or half of the machine's memory if that is less.
    #[arg(long, value_name = "SIZE")]
    session_memory: Option<Choice<MemoryLimit>>,
    /// Cores that it may keep busy, as in 1 or 0.5, or `none`. What takes more is slowed down where the kernel lets us,
    /// and else comes after everybody else. By default half of the machine's cores, one at least and four at most.
    #[arg(long, value_name = "CORES")]
    session_cpu: Option<Choice<CpuLimit>>,
    /// Its processes and threads, in a jail [default: 2048].
    #[arg(long, value_name = "N")]
    session_processes: Option<ProcessLimit>,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice<Limit> {
    Of(Limit),
    None,
}

impl<Limit: FromStr<Err = InvalidLimit>> FromStr for Choice<Limit> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            text => text
                .parse()
                .map(Self::Of)
                .map_err(|error: InvalidLimit| format!("{error}; or none")),
        }
    }
}

impl<Limit> Choice<Limit> {
    fn limit(self) -> Option<Limit> {
        match self {
            Self::Of(limit) => Some(limit),
            Self::None => None,
        }
    }
}

impl SessionLimits {
    pub(crate) fn limits(self) -> Limits {
        let memory = || Choice::Of(memory_on(crate::browsers::machine_memory()));
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Limits {
            memory: self.session_memory.unwrap_or_else(memory).limit(),
            cpu: self
                .session_cpu
                .map_or_else(|| Some(cpu_on(cores)), Choice::limit),
            processes: self.session_processes.unwrap_or_default(),
        }
    }
}

/// On a machine with so many bytes.
fn memory_on(machine: u64) -> MemoryLimit {
    MemoryLimit::of_bytes(USUAL_MEMORY.min(machine / SHARE_OF_MACHINE)).unwrap_or(MemoryLimit::LEAST)
}

/// On a machine with so many cores.
fn cpu_on(cores: usize) -> CpuLimit {
    let cores = (cores / 2).clamp(1, MOST_CORES);
    let percent = u32::try_from(cores * 100).unwrap_or(u32::MAX);
    CpuLimit::of_percent(percent).unwrap_or(CpuLimit::LEAST)
}

/// The limits that hold, and by what, in two lines at most.
pub(crate) struct Held {
    pub(crate) limits: Limits,
    pub(crate) enforcement: Enforcement,
    pub(crate) jailed: bool,
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits {
            memory,
            cpu,
            processes,
        } = self.limits;
        let Enforcement {
            memory: of_memory,
            cpu: of_cpu,
            ..
        } = self.enforcement;
        match (memory, of_memory) {
            (None, _) | (_, Holder::Nobody) => write!(formatter, "memory without limit")?,
            (Some(memory), Holder::ControlGroup) => write!(formatter, "memory {memory} by control group")?,
            (Some(memory), Holder::Watching) => write!(formatter, "memory {memory} by watching")?,
        }
        match (cpu, of_cpu) {
            (None, _) | (_, Holder::Nobody) => write!(formatter, ", CPU without limit")?,
            (Some(cpu), Holder::ControlGroup) => write!(formatter, ", CPU of {cpu} cores by control group")?,
            (Some(cpu), Holder::Watching) => write!(formatter, ", CPU of {cpu} cores by priority")?,
        }
        match self.jailed {
            true => write!(formatter, ", {processes} processes"),
            false => write!(formatter, ", processes without limit"),
        }
    }
}

impl Held {
    /// What was asked for and nobody holds here, each with what to allow.
    pub(crate) fn missing(&self) -> Vec<String> {
        let Limits {
            memory,
            cpu,
            processes,
        } = self.limits;
        let mut missing = Vec::new();
        if let (Some(memory), Holder::Nobody) = (memory, self.enforcement.memory) {
            missing.push(format!(
                "nobody holds sessions to their memory of {memory}: {OWN_GROUP}"
            ));
        }
        if let (Some(cpu), Holder::Nobody) = (cpu, self.enforcement.cpu) {
            let allow = match self.enforcement.without_groups {
                // What there is has no controller for it.
                None => {
                    "allow this service's control group the controller \"cpu\" (systemd: Delegate=cpu memory pids)"
                }
                Some(_) => OWN_GROUP,
            };
            missing.push(format!(
                "nobody holds sessions to {cpu} cores: {allow}, or run outside of groups with a controller of the CPU and \
                 with the sysctl kernel.sched_autogroup_enabled=1"
            ));
        }
        if !self.jailed {
            missing.push(format!(
                "nobody holds sessions to {processes} processes: use --isolation jail"
            ));
        }
        missing
    }

    /// Why the kernel does not hold them, if it does not.
    pub(crate) fn why_watched(&self) -> Option<String> {
        let reason = self.enforcement.without_groups.as_ref();
        let asked = reason.filter(|&reason| *reason != NoControlGroups::NotAsked);
        asked.map(ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_size_or_none_and_nothing_else() {
        let memory = |text: &str| text.parse::<Choice<MemoryLimit>>();
        assert_eq!(memory("none"), Ok(Choice::None));
        assert_eq!(
            memory("2GiB").map(|choice| choice.limit().map(MemoryLimit::bytes)),
            Ok(Some(2 << 30))
        );
        for text in ["0", "", "2048", "-1GiB", "255MiB", "2 Gib", "99999999999GiB"] {
            let error = memory(text).unwrap_err();
            assert!(error.contains("256MiB at least; or none"), "{text}: {error}");
        }
        let cpu = |text: &str| text.parse::<Choice<CpuLimit>>();
        assert_eq!(
            cpu("1.5").map(|choice| choice.limit().map(CpuLimit::percent)),
            Ok(Some(150))
        );
        for text in ["0", "", "0.05", ".5", "1.", "1,5", "inf", "-1", "50%", "1.005"] {
            assert!(cpu(text).unwrap_err().contains("0.1 at least"), "{text}");
        }
    }

    #[test]
    fn a_limit_that_nobody_holds_is_named_with_what_to_allow() {
        let limits = Limits {
            memory: MemoryLimit::of_bytes(1 << 30).ok(),
            cpu: CpuLimit::of_percent(150).ok(),
            processes: ProcessLimit::default(),
        };
        let missing = |limits, memory, cpu, without_groups, jailed| {
            let enforcement = Enforcement {
                memory,
                cpu,
                without_groups,
            };
            let held = Held {
                limits,
                enforcement,
                jailed,
            };
            held.missing()
        };
        let why = Some(NoControlGroups::NotMounted);
        let held = missing(limits, Holder::Watching, Holder::Watching, why.clone(), true);
        assert!(held.is_empty(), "{held:?}");
        let unasked = Limits {
            memory: None,
            cpu: None,
            ..limits
        };
        let unasked = missing(unasked, Holder::Nobody, Holder::Nobody, why.clone(), true);
        assert!(unasked.is_empty(), "{unasked:?}");

        let cpu = missing(limits, Holder::Watching, Holder::Nobody, why.clone(), true);
        assert_eq!(cpu.len(), 1, "{cpu:?}");
        assert!(
            cpu[0].contains("1.50 cores") && cpu[0].contains("Delegate=yes"),
            "{cpu:?}"
        );
        let cpu = missing(limits, Holder::ControlGroup, Holder::Nobody, None, true);
        assert!(cpu[0].contains("Delegate=cpu memory pids"), "{cpu:?}");
        let all = missing(limits, Holder::Nobody, Holder::Nobody, why, false);
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(
            all[0].contains("1024 MiB") && all[2].contains("--isolation jail"),
            "{all:?}"
        );
    }

    #[test]
    fn a_small_machine_gives_less_and_never_too_little() {
        const GIB: u64 = 1 << 30;
        for (machine, expected) in [
            (64 * GIB, 2 * GIB),
            (4 * GIB, 2 * GIB),
            (2 * GIB, GIB),
            (GIB / 4, GIB / 4),
        ] {
            assert_eq!(memory_on(machine).bytes(), expected, "{machine}");
        }
        for (cores, expected) in [(1, 100), (2, 100), (4, 200), (64, 400)] {
            assert_eq!(cpu_on(cores).percent(), expected, "{cores}");
        }
    }
}
