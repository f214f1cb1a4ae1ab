//! The weight of a session of processes against others, which the kernel keeps for each.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Result, Write};

/// Of a process, below its folder in /proc.
pub(super) const FILE: &str = "autogroup";

/// Gives each session that one of these processes is in this nice value, as `open` opens their files. Answers whether all
/// have it: the kernel refuses when we are not root and have asked often.
pub(super) fn set_nice<Id: Copy>(
    nice: i32,
    processes: impl Iterator<Item = Id>,
    open: impl Fn(Id, OFlags) -> Result<File>,
) -> bool {
    let (mut done, mut all) = (Vec::new(), true);
    for process in processes {
        match set_one(nice, &done, |flags| open(process, flags)) {
            Ok(Some(name)) => done.push(name),
            Ok(None) => {}
            // Ended meanwhile, or the kernel has no such thing.
            Err(error) if is_gone(&error) => {}
            Err(_) => all = false,
        }
    }
    all
}

/// Answers the session's name, or nothing where there is nothing to do.
fn set_one(nice: i32, done: &[String], open: impl Fn(OFlags) -> Result<File>) -> Result<Option<String>> {
    let mut text = String::new();
    open(OFlags::RDONLY)?.read_to_string(&mut text)?;
    let Some(name) = text.split_ascii_whitespace().next() else {
        return Ok(None);
    };
    if done.iter().any(|known| known == name) {
        return Ok(None);
    }
    open(OFlags::WRONLY)?.write_all(nice.to_string().as_bytes())?;
    Ok(Some(name.to_owned()))
}

fn is_gone(error: &std::io::Error) -> bool {
    [Errno::NOENT, Errno::SRCH]
        .iter()
        .any(|gone| error.raw_os_error() == Some(gone.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn who_was_refused_is_told_from_who_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("one", "/autogroup-7 nice 19\n"),
            ("same", "/autogroup-7 nice 19\n"),
            ("other", "/autogroup-8 nice 19\n"),
            ("none", ""),
        ] {
            std::fs::write(file(name), text).unwrap();
        }
        let open = |refused: &'static str| {
            let folder = folder.path().to_owned();
            move |name: &str, flags: OFlags| {
                let writes = flags.contains(OFlags::WRONLY);
                match writes && name == refused {
                    true => Err(Errno::AGAIN.into()),
                    false => OpenOptions::new()
                        .read(!writes)
                        .write(writes)
                        .open(folder.join(name)),
                }
            }
        };
        let all = || ["one", "same", "other", "none", "gone"].into_iter();
        assert!(!set_nice(0, all(), open("other")));
        assert!(set_nice(0, all(), open("nobody")));
        // Once for each session.
        assert!(std::fs::read_to_string(file("same")).unwrap().ends_with("19\n"));
        for set in ["one", "other"] {
            assert!(
                std::fs::read_to_string(file(set)).unwrap().starts_with('0'),
                "{set}"
            );
        }
    }
}
