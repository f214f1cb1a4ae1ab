//! A cheap look at all of a browser.
//!
//! A jail has a `/proc` of its own, which lists every process inside and nobody else, hidden ones included. It is read
//! through the root directory of the first process, which also leads to the jail's file systems in memory: what lies
//! there belongs to no process, and would be missed.

use super::autogroup;
use crate::procfs;
use crate::sampler::Sampler;
use rustix::fs::{CWD, Dir, Mode, OFlags, fstatfs, openat};
use rustix::io::Errno;
use rustix::process::Pid;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Where a browser's processes and files can be seen.
#[derive(Debug)]
pub(crate) enum View {
    Jail(JailView),
    /// Without a jail: below the leader. Files do not count, for they may lie on disk.
    Tree(Sampler),
}

/// Held open, so that another process with the first one's number is never taken for it.
#[derive(Debug)]
pub(crate) struct JailView {
    root: OwnedFd,
    /// File systems in memory, as paths from the jail's root without a leading slash.
    files: Vec<PathBuf>,
}

impl JailView {
    /// Of the jail whose first process has this root directory.
    pub(crate) fn of(root: OwnedFd, files: &[PathBuf]) -> JailView {
        let relative = |path: &PathBuf| path.strip_prefix("/").unwrap_or(path).to_owned();
        JailView {
            root,
            files: files.iter().map(relative).collect(),
        }
    }

    fn process_ids(&self) -> Option<Vec<u32>> {
        let directory = openat(
            &self.root,
            "proc",
            OFlags::RDONLY | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .ok()?;
        let entries = Dir::read_from(directory).ok()?.flatten();
        let ids: Vec<u32> = entries
            .filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok())
            .collect();
        // A /proc without processes is one whose jail has gone.
        (!ids.is_empty()).then_some(ids)
    }

    fn read(&self, process: u32, file: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(process, file, OFlags::RDONLY)
            .ok()?
            .read_to_end(&mut bytes)
            .ok()?;
        Some(bytes)
    }

    fn open(&self, process: u32, file: &str, flags: OFlags) -> std::io::Result<File> {
        let path = format!("proc/{process}/{file}");
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(openat(
            &self.root,
            path.as_str(),
            flags,
            Mode::empty(),
        )?))
    }

    /// Bytes in the file systems in memory.
    fn in_files(&self) -> u64 {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let used = |path: &PathBuf| -> Option<u64> {
            let stat = fstatfs(openat(&self.root, path, flags, Mode::empty()).ok()?).ok()?;
            let blocks = stat.f_blocks.saturating_sub(stat.f_bfree);
            Some(blocks.saturating_mul(u64::try_from(stat.f_bsize).ok()?))
        };
        self.files.iter().filter_map(used).sum()
    }
}

impl View {
    /// Bytes that the browser has to itself, a little too high where processes share pages of a common past. `None` when it
    /// is gone.
    pub(super) fn memory(&self) -> Option<u64> {
        let swaps = has_swap();
        let processes = self.sum(|read| cheap_size(read, swaps))?;
        Some(processes.saturating_add(self.in_files()))
    }

    /// The same, exactly; the kernel walks every page for it.
    pub(super) fn exact_memory(&self) -> Option<u64> {
        let swaps = has_swap();
        let processes = self.sum(|read| exact_size(read, swaps))?;
        Some(processes.saturating_add(self.in_files()))
    }

    /// Over all processes, of which `of` reads files of /proc. One that has ended does not count.
    fn sum(&self, of: impl Fn(&Read<'_>) -> Option<u64>) -> Option<u64> {
        match self {
            View::Jail(jail) => {
                let ids = jail.process_ids()?.into_iter();
                Some(ids.filter_map(|id| of(&|file| jail.read(id, file))).sum())
            }
            View::Tree(sampler) => {
                let ids = sampler.pids()?.into_iter();
                let read = |id: Pid, file: &str| std::fs::read(format!("/proc/{id}/{file}")).ok();
                Some(ids.filter_map(|id| of(&|file| read(id, file))).sum())
            }
        }
    }

    /// Processor time so far, in clock ticks.
    pub(super) fn ticks(&self) -> Option<u64> {
        match self {
            View::Jail(jail) => {
                let ids = jail.process_ids()?.into_iter();
                let stats = ids.filter_map(|id| procfs::parse_stat(&jail.read(id, "stat")?));
                Some(stats.map(|stat| stat.ticks).sum())
            }
            View::Tree(sampler) => sampler.ticks(),
        }
    }

    /// Gives every session of processes in it this nice value; answers whether all have it.
    pub(super) fn set_nice(&self, nice: i32) -> bool {
        match self {
            View::Jail(jail) => jail.process_ids().is_some_and(|ids| {
                // The first process is not to be looked into.
                let ids = ids.into_iter().filter(|&id| id != 1);
                autogroup::set_nice(nice, ids, |id, flags| jail.open(id, autogroup::FILE, flags))
            }),
            View::Tree(sampler) => sampler.pids().is_some_and(|ids| {
                autogroup::set_nice(nice, ids.into_iter(), |id, flags| {
                    let path = format!("/proc/{id}/{}", autogroup::FILE);
                    let file = openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())?;
                    Ok(File::from(file))
                })
            }),
        }
    }

    fn in_files(&self) -> u64 {
        match self {
            View::Jail(jail) => jail.in_files(),
            View::Tree(_) => 0,
        }
    }
}

/// Opens the root directory of a process, which leads to its file systems.
///
/// # Errors
/// It has ended, or is not ours to look into.
pub(crate) fn root_of(pid: impl std::fmt::Display) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/{pid}/root");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, Path::new(&path), flags, Mode::empty())
}

/// Reads a file of a process.
type Read<'a> = dyn Fn(&str) -> Option<Vec<u8>> + 'a;

/// What no file stands behind, in memory or swapped.
fn cheap_size(read: &Read<'_>, swaps: bool) -> Option<u64> {
    let statm = procfs::parse_statm(&read("statm")?)?;
    let private = statm.resident.saturating_sub(statm.shared);
    let swapped = match swaps {
        true => read("status").and_then(|text| procfs::parse_kibibytes(&text, "VmSwap:")),
        false => None,
    };
    Some(
        private
            .saturating_mul(page_size())
            .saturating_add(swapped.unwrap_or_default()),
    )
}

fn exact_size(read: &Read<'_>, swaps: bool) -> Option<u64> {
    let text = read("smaps_rollup").unwrap_or_default();
    let Some(exact) = procfs::parse_kibibytes(&text, "Pss_Anon:") else {
        // Where the kernel does not let us look, or does not tell.
        return cheap_size(read, swaps);
    };
    let swapped = procfs::parse_kibibytes(&text, "SwapPss:").filter(|_| swaps);
    Some(exact.saturating_add(swapped.unwrap_or_default()))
}

/// Whether memory may be elsewhere than in memory. The first line says what the others hold.
fn has_swap() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

fn page_size() -> u64 {
    u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tchrome\nVmRSS:\t    4000 kB\nVmSwap:\t    3000 kB\n";
    const ROLLUP: &str = "Rss: 90 kB\nPss: 50 kB\nPss_Anon: 40 kB\nSwap: 9 kB\nSwapPss: 7 kB\n";

    fn read(rollup: Option<&'static str>) -> impl Fn(&str) -> Option<Vec<u8>> {
        move |file| match file {
            "statm" => Some(b"100 50 20 1 0 9 0\n".to_vec()),
            "status" => Some(STATUS.into()),
            "smaps_rollup" => rollup.map(Into::into),
            _ => None,
        }
    }

    #[test]
    fn what_is_swapped_counts_where_anything_can_be() {
        let (private, rollup) = (30 * page_size(), Some(ROLLUP));
        assert_eq!(cheap_size(&read(rollup), false), Some(private));
        assert_eq!(cheap_size(&read(rollup), true), Some(private + 3_072_000));
        assert_eq!(exact_size(&read(rollup), false), Some(40 << 10));
        assert_eq!(exact_size(&read(rollup), true), Some(47 << 10));
    }

    #[test]
    fn who_may_not_be_looked_into_counts_roughly_and_who_is_gone_does_not() {
        assert_eq!(exact_size(&read(None), false), Some(30 * page_size()));
        assert_eq!(
            exact_size(&read(Some("Pss: 1 kB\n")), true),
            Some(30 * page_size() + 3_072_000)
        );
        assert_eq!(exact_size(&|_| None, true), None);
    }
}
