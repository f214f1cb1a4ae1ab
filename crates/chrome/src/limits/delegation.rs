//! Whether control groups are ours to make here, and the ground for them.
//!
//! A worker started as a service with `Delegate=yes`, or in a container whose control groups can be written to, has a
//! group of its own. A group has either processes or limits for groups below it, so the worker itself moves one step down.

use super::Limits;
use super::cgroup::{self, ControlGroup};
use crate::procfs;
use rustix::process::Pid;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where this process goes.
const OWN: &str = "wharf";
/// What browsers' groups are called.
const BROWSER: &str = "browser-";
const NEEDED: [&str; 2] = ["memory", "pids"];
/// Not everywhere, and refused where a process has a real-time priority; the priority of sessions has to do there.
const CPU: &str = "cpu";
const SUBTREE_CONTROL: &str = "cgroup.subtree_control";
/// What is being forked while we move is found by the next look.
const LOOKS: u32 = 3;

/// Why there are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoControlGroups {
    /// There is no file system of the kind.
    #[error("this machine has no cgroup v2 mounted")]
    NotMounted,
    /// It has no memory limits.
    #[error("cgroup v2 has no controller for {0} here")]
    NoController(&'static str),
    /// They are somebody else's.
    #[error("the control group {} is not delegated to this process: {}", .0.display(), .1)]
    NotDelegated(PathBuf, ErrorKind),
    /// Limits for groups below one are not to be had while it has processes.
    #[error(
        "the control group {} has other processes than this one: give it one of its own (systemd: Delegate=yes, or \
         \"systemd-run --scope -p Delegate=yes\")", .0.display()
    )]
    Shared(PathBuf),
    /// Nobody asked.
    #[error("no limit of memory or CPU is set")]
    NotAsked,
}

/// The machine, or a test's.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// What stands for `/`.
    root: PathBuf,
    /// Who moves.
    processes: Vec<Pid>,
}

/// A group whose children have limits.
#[derive(Debug)]
pub(crate) struct ControlGroups {
    base: PathBuf,
    limits: Limits,
    limit_cpu: bool,
    number: AtomicU64,
}

impl Machine {
    /// This one, with this process and everything below it.
    pub(crate) fn own() -> Machine {
        Machine {
            root: PathBuf::from("/"),
            processes: Vec::new(),
        }
    }

    /// A directory tree with these processes.
    #[cfg(test)]
    pub(super) fn at(root: PathBuf, processes: Vec<Pid>) -> Machine {
        Machine { root, processes }
    }

    /// Makes the ground, if it is ours to do.
    ///
    /// # Errors
    /// It is not. Nothing has changed, but that this process may have moved one group down.
    pub(crate) fn control_groups(&self, limits: Limits) -> Result<ControlGroups, NoControlGroups> {
        if limits.memory.is_none() && limits.cpu.is_none() {
            return Err(NoControlGroups::NotAsked);
        }
        let own = self.own_group().ok_or(NoControlGroups::NotMounted)?;
        let base = base_of(&own);
        has_controllers(&base)?;
        self.settle(&base, own != base)?;
        self.remove_abandoned(&base);
        let limit_cpu = has_cpu(&base);
        Ok(ControlGroups {
            // What the kernel does not hold is not asked of it.
            limits: Limits {
                cpu: limits.cpu.filter(|_| limit_cpu),
                ..limits
            },
            base,
            limit_cpu,
            number: AtomicU64::new(1),
        })
    }

    /// Whether the kernel shares the cores between sessions of processes, and no CPU controller above us does so otherwise.
    pub(crate) fn shares_between_sessions(&self) -> bool {
        let enabled = self.read("proc/sys/kernel/sched_autogroup_enabled");
        let groups = self.read("proc/self/cgroup").unwrap_or_default();
        let in_one = |line: &str| {
            let mut fields = line.splitn(3, ':').skip(1);
            let controllers = fields.next().unwrap_or_default();
            controllers.split(',').any(|name| name == "cpu") && fields.next() != Some("/")
        };
        // The nearest group with a controller counts, which may be far above.
        let controlled = self.position().is_some_and(|(mount, below)| {
            below
                .ancestors()
                .any(|group| mount.join(group).join("cpu.max").exists())
        });
        enabled.is_some_and(|text| text.trim() == "1") && !controlled && !groups.lines().any(in_one)
    }

    /// The folder of the group that we are in.
    pub(super) fn own_group(&self) -> Option<PathBuf> {
        let (mount, below) = self.position()?;
        Some(mount.join(below))
    }

    /// Where the hierarchy is mounted, and where we are below that.
    fn position(&self) -> Option<(PathBuf, PathBuf)> {
        let groups = self.read("proc/self/cgroup")?;
        let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let mounts = self.read("proc/self/mountinfo")?;
        let (shown, mounted) = mounts.lines().find_map(cgroup2_mount)?;
        // What is mounted may be a part of the hierarchy, and we may be outside of it.
        let below = Path::new(own).strip_prefix(shown).ok()?;
        let climbs = below
            .components()
            .any(|part| part == std::path::Component::ParentDir);
        let mount = self.root.join(mounted.trim_start_matches('/'));
        (!climbs).then(|| (mount, below.to_owned()))
    }

    /// Moves our processes one down, and allows limits for groups beside them.
    fn settle(&self, base: &Path, settled: bool) -> Result<(), NoControlGroups> {
        let failed = |error: std::io::Error| match error.kind() {
            ErrorKind::ResourceBusy => NoControlGroups::Shared(base.to_owned()),
            kind => NoControlGroups::NotDelegated(base.to_owned(), kind),
        };
        let own = base.join(OWN);
        if !settled {
            match fs::create_dir(&own) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => {}
            }
            for process in self.family() {
                // Who has ended meanwhile need not move.
                if let Err(error) = cgroup::write(&own.join("cgroup.procs"), &process.to_string())
                    && error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error())
                {
                    return Err(failed(error));
                }
            }
        }
        enable(base, &NEEDED).map_err(failed)?;
        let offered = words(&base.join("cgroup.controllers"));
        if offered.iter().any(|word| word == CPU)
            && let Err(error) = enable(base, &[CPU])
        {
            tracing::info!(group = %base.display(), %error, "the kernel does not limit browsers' share of the cores");
        }
        Ok(())
    }

    /// Ends what a killed predecessor left.
    fn remove_abandoned(&self, base: &Path) {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let owner = entry.file_name().to_str().and_then(owner);
            let abandoned = owner.is_some_and(|owner| !self.root.join(format!("proc/{owner}")).exists());
            let processes = words(&entry.path().join("cgroup.procs"));
            // Processes that we cannot name are in another pid namespace, and so is their worker, which may live.
            if !abandoned || processes.iter().any(|process| process == "0") {
                continue;
            }
            let group = ControlGroup::at(entry.path());
            if !processes.is_empty() {
                group.kill();
            }
            group.remove();
        }
    }

    fn family(&self) -> Vec<Pid> {
        if !self.processes.is_empty() {
            return self.processes.clone();
        }
        let mut found = vec![rustix::process::getpid()];
        for _ in 0..LOOKS {
            let mut waiting = procfs::own_children();
            while let Some(pid) = waiting.pop() {
                waiting.extend(procfs::children(pid));
                if !found.contains(&pid) {
                    found.push(pid);
                }
            }
        }
        found
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

impl ControlGroups {
    /// One for a browser.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn create(&self) -> std::io::Result<ControlGroup> {
        loop {
            // Two workers may share the ground, and a process may have our number after us.
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let name = format!("{BROWSER}{}-{number}", std::process::id());
            match ControlGroup::create(self.base.join(name), &self.limits) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
    }

    /// Whether the kernel holds browsers to their share of the cores too.
    pub(crate) fn limit_cpu(&self) -> bool {
        self.limit_cpu
    }
}

/// The group above, for a process that has moved down before.
fn base_of(own: &Path) -> PathBuf {
    let above = own.parent().filter(|_| own.ends_with(OWN));
    let enabled = |base: &&Path| {
        let enabled = words(&base.join(SUBTREE_CONTROL));
        NEEDED.iter().all(|name| enabled.iter().any(|word| word == name))
    };
    above.filter(enabled).unwrap_or(own).to_owned()
}

fn has_controllers(base: &Path) -> Result<(), NoControlGroups> {
    let offered = words(&base.join("cgroup.controllers"));
    match NEEDED
        .into_iter()
        .find(|name| !offered.iter().any(|word| word == name))
    {
        Some(missing) => Err(NoControlGroups::NoController(missing)),
        None => Ok(()),
    }
}

/// Allows limits of these kinds for the groups below.
fn enable(base: &Path, controllers: &[&str]) -> std::io::Result<()> {
    let enabled = words(&base.join(SUBTREE_CONTROL));
    let missing = controllers
        .iter()
        .filter(|name| !enabled.iter().any(|word| word == *name));
    let missing: Vec<String> = missing.map(|name| format!("+{name}")).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => cgroup::write(&base.join(SUBTREE_CONTROL), &missing.join(" ")),
    }
}

/// As the kernel says it, which may have taken our word and done nothing.
fn has_cpu(base: &Path) -> bool {
    words(&base.join(SUBTREE_CONTROL)).iter().any(|word| word == CPU)
}

/// Whose group this is, by its name.
fn owner(name: &str) -> Option<u32> {
    let (owner, number) = name.strip_prefix(BROWSER)?.split_once('-')?;
    number.parse::<u64>().ok()?;
    owner.parse().ok()
}

/// What part of the hierarchy a line of mountinfo shows, and where.
fn cgroup2_mount(line: &str) -> Option<(&str, &str)> {
    let (mount, kind) = line.split_once(" - ")?;
    if kind.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    Some((fields.next()?, fields.next()?))
}

fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}
