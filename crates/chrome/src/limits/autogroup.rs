//! The weight of a session of processes against others, which the kernel keeps for each.

use rustix::fs::OFlags;
use std::fs::File;
use std::io::{Read, Write};

/// Of a process, below its folder in /proc.
pub(super) const FILE: &str = "autogroup";

/// Gives each session that one of these processes is in this nice value, as `open` opens their files.
pub(super) fn set_nice<Id: Copy>(
    nice: i32,
    processes: impl Iterator<Item = Id>,
    open: impl Fn(Id, OFlags) -> Option<File>,
) {
    let mut done = Vec::new();
    for process in processes {
        let mut text = String::new();
        let read = open(process, OFlags::RDONLY).and_then(|mut file| file.read_to_string(&mut text).ok());
        let name = text.split_ascii_whitespace().next().unwrap_or_default();
        if read.is_none() || name.is_empty() || done.iter().any(|known| known == name) {
            continue;
        }
        // Refused when we are not root and have asked often; asked again at the next look then.
        let written = open(process, OFlags::WRONLY).map(|mut file| write!(file, "{nice}"));
        if matches!(written, Some(Ok(()))) {
            done.push(name.to_owned());
        }
    }
}
