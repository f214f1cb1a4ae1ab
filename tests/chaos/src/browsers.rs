//! The process table: which browsers run, and for whom.

use std::collections::HashSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;
use wharf_testkit::Pids;

/// The main process of a browser of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserProcess {
    /// Its id.
    pub pid: u32,
    /// Its process group, which its helpers stay in.
    pub group: u32,
    /// The worker's process that has started it.
    pub owner: u32,
    /// What its folder is named: `<session>-<generation>`, or whatever a browser is named that nobody has claimed yet.
    pub name: String,
}

impl BrowserProcess {
    /// The session that the name speaks of.
    pub fn session(&self) -> Option<Uuid> {
        let (session, _) = self.name.rsplit_once('-')?;
        session.parse().ok()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&self) {
        signal(self.pid, Signal::KILL);
    }
}

/// Sends a signal to a process of ours that may have ended.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// The browsers that these workers have started, in whatever life of theirs.
pub fn running(workers: &[Pids]) -> Vec<BrowserProcess> {
    let owners: HashSet<u32> = workers.iter().flat_map(Pids::all).collect();
    processes()
        .filter_map(|pid| {
            let (owner, name) = browser(&command_line(pid)?)?;
            // A helper between its fork and its exec still has its parent's command line.
            let [state, parent, group] = stat(pid)?;
            let forked = browser(&command_line(parent.parse().ok()?)?).is_some();
            let lives = !matches!(state.as_str(), "Z" | "X");
            (!forked && lives && owners.contains(&owner)).then_some(BrowserProcess {
                pid,
                group: group.parse().ok()?,
                owner,
                name,
            })
        })
        .collect()
}

/// Every process of these browsers that lives, helpers included: they stay in the group of their browser.
pub fn family(browsers: &[BrowserProcess]) -> Vec<u32> {
    let groups: HashSet<u32> = browsers.iter().map(|browser| browser.group).collect();
    processes()
        .filter(|pid| group(*pid).is_some_and(|group| groups.contains(&group)) && is_alive(*pid))
        .collect()
}

/// Whether the process runs. One that has ended and was not waited for does not.
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| !matches!(fields[0].as_str(), "Z" | "X"))
}

/// Whether the process is stopped by a signal.
pub fn is_paused(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] == "T")
}

/// The process's children that have ended and were not waited for.
pub fn zombies_of(parent: u32) -> usize {
    processes()
        .filter_map(stat)
        .filter(|fields| fields[0] == "Z" && fields[1] == parent.to_string())
        .count()
}

/// Open descriptors, and resident memory in bytes.
pub fn footprint(pid: u32) -> Option<(usize, u64)> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some((descriptors, kibibytes << 10))
}

/// Profiles' folders of these workers, in memory.
pub fn folders(workers: &[Pids]) -> Vec<String> {
    let owners: HashSet<u32> = workers.iter().flat_map(Pids::all).collect();
    let Ok(entries) = fs::read_dir("/dev/shm") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            owner_of(&entry.file_name().to_string_lossy()).is_some_and(|pid| owners.contains(&pid))
        })
        .map(|entry| entry.path().display().to_string())
        .collect()
}

/// The worker's process and the folder's name, of a browser's own command line.
fn browser(command: &str) -> Option<(u32, String)> {
    // Chromium writes its own over the original, with spaces between.
    let mut arguments = command.split(['\0', ' ']);
    if arguments.clone().any(|argument| argument.starts_with("--type=")) {
        return None;
    }
    // What stands around a jailed one has its command line behind its own.
    if command.contains("bwrap") || command.contains("jail-init") {
        return None;
    }
    let profile = arguments.find_map(|argument| argument.strip_prefix("--user-data-dir="))?;
    let mut parts = profile.rsplit('/');
    let (_, name, root) = (parts.next()?, parts.next()?, parts.next()?);
    Some((owner_of(root)?, name.to_owned()))
}

/// `wharf-123` and `wharf-123.1` are process 123's.
fn owner_of(folder: &str) -> Option<u32> {
    folder.strip_prefix("wharf-")?.split('.').next()?.parse().ok()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn command_line(pid: u32) -> Option<String> {
    String::from_utf8(fs::read(format!("/proc/{pid}/cmdline")).ok()?).ok()
}

fn group(pid: u32) -> Option<u32> {
    stat(pid)?[2].parse().ok()
}

/// State, parent and group. The name before them is in parentheses and may hold any character.
fn stat(pid: u32) -> Option<[String; 3]> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ').map(str::to_owned);
    Some([fields.next()?, fields.next()?, fields.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_by_its_folder_and_a_helper_is_not_one() {
        let id = "0192f0c1-2a3b-7c4d-8e5f-001122334455";
        let command = format!(
            "/usr/bin/chromium\0--x\0--user-data-dir=/dev/shm/wharf-77.1/{id}-2/profile\0about:blank\0"
        );
        let (owner, name) = browser(&command).unwrap();
        assert_eq!(owner, 77);
        let browser_process = BrowserProcess {
            pid: 1,
            group: 1,
            owner,
            name,
        };
        assert_eq!(browser_process.session(), Some(id.parse().unwrap()));
        assert_eq!(browser(&format!("{command}--type=renderer\0")), None);
        assert_eq!(browser(&format!("bwrap\0--unshare-all\0--\0{command}")), None);
        assert_eq!(browser(&format!("/proc/self/fd/1\0jail-init\0{command}")), None);
    }

    #[test]
    fn this_process_lives_and_has_a_footprint() {
        assert!(is_alive(std::process::id()));
        let (descriptors, memory) = footprint(std::process::id()).unwrap();
        assert!(descriptors > 2 && memory > 100_000);
    }
}
