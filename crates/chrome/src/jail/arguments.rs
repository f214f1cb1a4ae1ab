//! Bubblewrap's command line. Every wall stands here with its reason.

use super::INIT;
use crate::environment::environment;
use crate::limits::{Limits, MemoryLimit};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const TMP: &str = "/tmp";

/// Where the browser finds its proxy, on the jail's loopback.
pub(crate) const PROXY_PORT: u16 = 3128;

const SHARED_MEMORY: &str = "/dev/shm";

/// Bytes of the session's folder at most: profile, cache, downloads. What fills it gets ENOSPC, and nobody else does.
const FOLDER_SIZE: u64 = 1 << 30;
/// Bytes of /tmp at most.
const TMP_SIZE: u64 = 256 << 20;
/// Bytes of /dev/shm at most, through which Chromium's processes exchange what they draw.
const SHARED_MEMORY_SIZE: u64 = 1 << 30;
/// The part of a session's memory that one file system may have, one in this many: a full disk is to be told from too
/// much memory.
const MEMORY_PER_FILES: u64 = 2;

/// What a browser needs beside programs: how fonts are chosen, where libraries lie, whom to trust, and the
/// operator's own policies. No users, no names of machines.
const SETTINGS: [&str; 8] = [
    "/etc/alternatives",
    "/etc/chromium",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/opt/chrome",
    "/etc/pki",
    "/etc/ssl/certs",
    // Without it every browser reads every font once.
    "/var/cache/fontconfig",
];

/// Names the time zone by what it links to. Without that name Chromium compares the file with those of every zone: a launch
/// took 20 of 300 ms longer with a file, and 45 with nothing.
pub(crate) const LOCAL_TIME: &str = "/etc/localtime";

/// The descriptor of the first file that a browser is given. Below are Chromium's own.
pub(crate) const FIRST_FILE: i32 = 5;

/// What one jail is built for.
#[derive(Debug)]
pub(crate) struct Jailed<'a> {
    /// The browser's executable.
    pub(crate) binary: &'a Path,
    /// Its working directory and home: the one place that it may write to, besides /tmp.
    pub(crate) folder: &'a Path,
    /// What [`LOCAL_TIME`] links to.
    pub(crate) time_zone: Option<&'a Path>,
    /// The browser's own.
    pub(crate) flags: &'a [String],
    /// What it may use.
    pub(crate) limits: Limits,
    /// From [`crate::out_of_memory::score`].
    pub(crate) out_of_memory_score: i32,
    /// What it finds in its folder, below that; their contents come on descriptors from [`FIRST_FILE`] on.
    pub(crate) files: &'a [PathBuf],
}

/// The file systems that are in memory.
pub(crate) fn memory_file_systems(jailed: &Jailed<'_>) -> Vec<PathBuf> {
    vec![SHARED_MEMORY.into(), TMP.into(), jailed.folder.to_owned()]
}

/// The whole command line, without bubblewrap's own path.
pub(crate) fn command_line(jailed: &Jailed<'_>) -> Vec<OsString> {
    let mut line = Line(Vec::new());
    // User, mount, pid, ipc, uts, cgroup and network. The user namespace is asked for by name, for the other word
    // does without it where the kernel refuses.
    line.add(["--unshare-all", "--unshare-user"]);
    // Nobody in particular, under no name.
    line.add(["--uid", "1000", "--gid", "1000", "--hostname", "browser"]);
    // No terminal to type into, no life without us, and our init first, so that all ends with it.
    line.add(["--new-session", "--die-with-parent", "--as-pid-1"]);
    // Chromium's own sandbox makes user namespaces of its own, for which it needs no capability here.
    line.add(["--cap-drop", "ALL"]);
    line.add(["--clearenv"]);
    for (name, value) in environment(jailed.folder, Path::new(TMP)) {
        line.add(["--setenv", name]);
        line.0.push(value);
    }
    file_system(&mut line, jailed);
    let processes = jailed.limits.processes.number().to_string();
    let score = jailed.out_of_memory_score.to_string();
    line.add(["--", "/proc/self/fd/1", INIT, &score, &processes]);
    line.0.push(jailed.binary.into());
    line.0.extend(jailed.flags.iter().map(OsString::from));
    line.0
}

fn file_system(line: &mut Line, jailed: &Jailed<'_>) {
    line.add(["--ro-bind", "/usr", "/usr"]);
    for (target, link) in [
        ("usr/bin", "/bin"),
        ("usr/sbin", "/sbin"),
        ("usr/lib", "/lib"),
        ("usr/lib64", "/lib64"),
    ] {
        line.add(["--symlink", target, link]);
    }
    for path in SETTINGS {
        line.add(["--ro-bind-try", path, path]);
    }
    if let Some(zone) = jailed.time_zone {
        line.add(["--symlink"]);
        line.0.extend([zone.into(), LOCAL_TIME.into()]);
    }
    line.add(["--proc", "/proc", "--dev", "/dev"]);
    let memory = jailed.limits.memory.map_or(u64::MAX, MemoryLimit::bytes);
    let size = |most: u64| most.min(memory / MEMORY_PER_FILES);
    line.tmpfs(size(SHARED_MEMORY_SIZE), Path::new(SHARED_MEMORY));
    line.tmpfs(size(TMP_SIZE), Path::new(TMP));
    line.tmpfs(size(FOLDER_SIZE), jailed.folder);
    for (descriptor, path) in (FIRST_FILE..).zip(jailed.files) {
        // Copied, and so the browser's own.
        line.add(["--perms", "0600", "--file", &descriptor.to_string()]);
        line.0.push(jailed.folder.join(path).into());
    }
    // Last, for it may lie below one of those.
    if let Some(home) = jailed.binary.parent().filter(|home| !home.starts_with("/usr")) {
        line.bind(home);
    }
    // What is left of bubblewrap's own file systems has no size, and would be written to all the same.
    line.add(["--remount-ro", "/dev", "--remount-ro", "/"]);
    line.add(["--chdir"]);
    line.0.push(jailed.folder.into());
}

struct Line(Vec<OsString>);

impl Line {
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(OsString::from));
    }

    fn bind(&mut self, path: &Path) {
        self.0.extend(["--ro-bind".into(), path.into(), path.into()]);
    }

    fn tmpfs(&mut self, size: u64, path: &Path) {
        self.add(["--size", &size.to_string(), "--tmpfs"]);
        self.0.push(path.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(binary: &str) -> Vec<String> {
        let jailed = Jailed {
            binary: Path::new(binary),
            folder: Path::new("/wharf-1/session-1"),
            time_zone: Some(Path::new("/usr/share/zoneinfo/UTC")),
            flags: &["--headless=new".to_owned()],
            limits: Limits {
                memory: MemoryLimit::of_bytes(600 << 20).ok(),
                ..Limits::default()
            },
            out_of_memory_score: 200,
            files: &[PathBuf::from(".pki/nssdb/cert9.db")],
        };
        let words = command_line(&jailed).into_iter();
        words.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn nothing_of_the_host_is_bound_but_what_is_named_here() {
        let line = line("/usr/lib/chromium/chromium");
        let bound = line.windows(2).filter(|pair| pair[0].contains("bind"));
        for pair in bound {
            assert!(pair[0].starts_with("--ro-bind"), "{pair:?}");
            assert!(
                pair[1] == "/usr" || SETTINGS.contains(&pair[1].as_str()),
                "{pair:?}"
            );
        }
    }

    #[test]
    fn no_file_system_takes_all_of_a_small_sessions_memory() {
        let line = line("/usr/lib/chromium/chromium");
        let sizes = line.windows(2).filter(|words| words[0] == "--size");
        let sizes: Vec<u64> = sizes.map(|words| words[1].parse().unwrap()).collect();
        assert_eq!(sizes, [300 << 20, 256 << 20, 300 << 20]);
    }

    #[test]
    fn files_are_put_into_the_folder_once_it_is_there() {
        let line = line("/usr/lib/chromium/chromium");
        let position = |words: &[&str]| {
            line.windows(words.len())
                .position(|found| found == words)
                .unwrap()
        };
        let folder = position(&["--tmpfs", "/wharf-1/session-1"]);
        let file = position(&["--file", "5", "/wharf-1/session-1/.pki/nssdb/cert9.db"]);
        assert!(folder < file, "{line:?}");
    }

    #[test]
    fn the_time_zone_has_its_name() {
        let line = line("/usr/lib/chromium/chromium");
        let named = ["--symlink", "/usr/share/zoneinfo/UTC", "/etc/localtime"];
        assert!(line.windows(3).any(|words| words == named), "{line:?}");
    }

    #[test]
    fn a_browser_from_elsewhere_brings_its_own_folder() {
        let line = line("/opt/browser/chrome");
        let bound = line
            .windows(3)
            .any(|words| words == ["--ro-bind", "/opt/browser", "/opt/browser"]);
        assert!(bound, "{line:?}");
    }

    #[test]
    fn the_browser_and_its_flags_come_last_and_behind_our_program() {
        let line = line("/usr/lib/chromium/chromium");
        let end = line.iter().position(|word| word == "--").unwrap();
        assert_eq!(
            line[end + 1..],
            [
                "/proc/self/fd/1",
                "jail-init",
                "200",
                "2048",
                "/usr/lib/chromium/chromium",
                "--headless=new"
            ]
        );
    }
}
