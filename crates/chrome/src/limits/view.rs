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
use std::fs::File;
use std::io::Read;
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
        let pages: u64 = match self {
            View::Jail(jail) => {
                let ids = jail.process_ids()?.into_iter();
                let statm = ids.filter_map(|id| procfs::parse_statm(&jail.read(id, "statm")?));
                statm.map(private).sum()
            }
            View::Tree(sampler) => {
                let ids = sampler.pids()?;
                ids.into_iter().filter_map(procfs::statm).map(private).sum()
            }
        };
        Some(pages.saturating_mul(page_size()).saturating_add(self.in_files()))
    }

    /// The same, exactly; the kernel walks every page for it.
    pub(super) fn exact_memory(&self) -> Option<u64> {
        let anonymous = |text: Option<Vec<u8>>, statm: Option<procfs::Statm>| {
            let exact = text.and_then(|text| procfs::parse_kibibytes(&text, "Pss_Anon:"));
            // Where the kernel does not let us look, or does not tell.
            exact.or_else(|| Some(private(statm?).saturating_mul(page_size())))
        };
        let processes: u64 = match self {
            View::Jail(jail) => {
                let ids = jail.process_ids()?.into_iter();
                let sizes = ids.filter_map(|id| {
                    let statm = procfs::parse_statm(&jail.read(id, "statm")?);
                    anonymous(jail.read(id, "smaps_rollup"), statm)
                });
                sizes.sum()
            }
            View::Tree(sampler) => {
                let ids = sampler.pids()?.into_iter();
                let sizes = ids.filter_map(|id| {
                    let rollup = std::fs::read(format!("/proc/{id}/smaps_rollup")).ok();
                    anonymous(rollup, procfs::statm(id))
                });
                sizes.sum()
            }
        };
        Some(processes.saturating_add(self.in_files()))
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

/// Pages that no file stands behind.
fn private(statm: procfs::Statm) -> u64 {
    statm.resident.saturating_sub(statm.shared)
}

fn page_size() -> u64 {
    u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}
