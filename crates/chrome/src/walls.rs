//! Which walls stand around a browser that runs: looked up from outside, in `/proc`, not believed.

use crate::browser::Browser;
use crate::procfs;
use rustix::process::Pid;
use std::path::PathBuf;

/// The namespaces of a jail.
const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"];
/// What a browser has no business with. It sees none of them in a jail.
const HIDDEN: [&str; 7] = [
    "home",
    "root",
    "var/lib",
    "srv",
    "etc/passwd",
    "etc/shadow",
    "run",
];

/// Something that keeps a page from its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wall {
    /// What it keeps apart.
    pub name: &'static str,
    /// Whether it does.
    pub stands: bool,
    /// What was seen.
    pub seen: String,
}

impl Browser {
    /// Looks at every process of the browser, from outside. Blocks for some milliseconds.
    pub fn walls(&self) -> Vec<Wall> {
        let leader = self.leader();
        let all = below(leader);
        // In a jail that is bubblewrap, which stays outside.
        let main = *all.iter().find(|&&pid| is_browser(pid)).unwrap_or(&leader);
        let inside: Vec<Pid> = all
            .into_iter()
            .filter(|&pid| pid == main || pid != leader)
            .collect();
        vec![
            namespaces(&inside),
            network(main),
            files(main),
            rights(&inside),
            system_calls(&inside),
        ]
    }
}

fn namespaces(inside: &[Pid]) -> Wall {
    let shared = NAMESPACES.into_iter().filter(|kind| {
        let Some(ours) = procfs::namespace("self", kind) else {
            return true;
        };
        // What cannot be read is not taken for apart, unless its process has just ended.
        let shared = |&pid: &Pid| match procfs::namespace(&pid.to_string(), kind) {
            Some(theirs) => theirs == ours,
            None => !procfs::is_dying(pid),
        };
        inside.iter().any(shared)
    });
    let shared: Vec<&str> = shared.collect();
    Wall {
        name: "namespaces",
        stands: shared.is_empty(),
        seen: match shared.as_slice() {
            [] => format!("{} of its own", NAMESPACES.join(", ")),
            shared => format!("{} shared with this machine", shared.join(", ")),
        },
    }
}

fn network(main: Pid) -> Wall {
    let table = std::fs::read_to_string(folder(main).join("net/dev")).unwrap_or_default();
    let interfaces = table.lines().filter_map(|line| line.split_once(':'));
    let interfaces: Vec<&str> = interfaces.map(|(name, _)| name.trim()).collect();
    Wall {
        name: "network",
        stands: interfaces == ["lo"],
        seen: format!("interfaces: {}", interfaces.join(", ")),
    }
}

fn files(main: Pid) -> Wall {
    let root = folder(main).join("root");
    let readable = root.join("usr").exists();
    let found: Vec<&str> = HIDDEN
        .into_iter()
        .filter(|path| root.join(path).exists())
        .collect();
    Wall {
        name: "files",
        stands: readable && found.is_empty(),
        seen: match (readable, found.as_slice()) {
            (false, _) => "its file system cannot be looked into".to_owned(),
            (true, []) => "programs and libraries, and its own folder".to_owned(),
            (true, found) => format!("/{} of this machine", found.join(", /")),
        },
    }
}

fn rights(inside: &[Pid]) -> Wall {
    let may = |&pid: &Pid| {
        let user =
            procfs::status(pid, "Uid").is_none_or(|users| users.split_whitespace().any(|user| user == "0"));
        user || procfs::status(pid, "NoNewPrivs").as_deref() != Some("1")
    };
    let mighty = inside.iter().filter(|&pid| may(pid)).count();
    Wall {
        name: "rights",
        stands: mighty == 0 && !inside.is_empty(),
        seen: format!("{mighty} of {} processes are root or may become so", inside.len()),
    }
}

fn system_calls(inside: &[Pid]) -> Wall {
    let renderers: Vec<Pid> = inside.iter().copied().filter(|&pid| is_renderer(pid)).collect();
    let filtered = renderers
        .iter()
        .filter(|&&pid| procfs::status(pid, "Seccomp").as_deref() == Some("2"));
    let filtered = filtered.count();
    Wall {
        name: "system calls",
        stands: filtered == renderers.len() && filtered > 0,
        seen: format!("filtered in {filtered} of {} renderers", renderers.len()),
    }
}

fn below(leader: Pid) -> Vec<Pid> {
    let (mut found, mut waiting) = (Vec::new(), vec![leader]);
    while let Some(pid) = waiting.pop() {
        found.push(pid);
        waiting.extend(procfs::children(pid));
    }
    found
}

fn folder(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn is_renderer(pid: Pid) -> bool {
    procfs::command_line(pid).contains("--type=renderer")
}

/// The browser itself: its executable begins the line that bubblewrap and our first process have at the end of theirs.
fn is_browser(pid: Pid) -> bool {
    let line = procfs::command_line(pid);
    let first = line.split('\0').next().unwrap_or_default();
    line.contains("--user-data-dir=") && !first.ends_with("bwrap") && !first.starts_with("/proc/")
}
