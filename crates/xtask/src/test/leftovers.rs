//! After the tests nothing of theirs is left: no process, no folder in memory, no temporary file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Scratch;
use crate::processes;
use crate::steps::Run;

/// A browser's last helpers are taken away after the browser: the design's own limit for it is 10 s.
const GRACE: Duration = Duration::from_secs(10);

/// Waits for what is about to end, then names everything that did not.
pub async fn check(run: &mut Run, scratch: &Scratch) -> Result<()> {
    let deadline = Instant::now() + GRACE;
    while !processes::descendants().is_empty() && run.child_ended_before(deadline).await {}

    let mut found: Vec<String> = processes::descendants()
        .iter()
        .map(|process| format!("process {}", process.describe()))
        .collect();
    found.extend(files(scratch).iter().map(|path| path.display().to_string()));
    for left in &found {
        println!("left behind: {left}");
    }
    match found.len() {
        0 => Ok(()),
        count => bail!("the tests left {count} things behind"),
    }
}

/// The run's own folders must be empty. In memory, a folder of another Wharf on this machine is none of ours: it
/// was there before, or a living process that we did not start names it.
fn files(scratch: &Scratch) -> Vec<PathBuf> {
    let mut found = entries(&scratch.temporary);
    found.extend(entries(&scratch.profiles));
    found.extend(
        of_wharfs(&scratch.memory)
            .into_iter()
            .filter(|path| *path != scratch.profiles && !scratch.others.contains(path))
            .filter(|path| !processes::anyone_uses(path)),
    );
    found
}

/// What is in the folder and named as a Wharf names its own.
pub fn of_wharfs(folder: &Path) -> Vec<PathBuf> {
    let of_a_wharf = |path: &PathBuf| {
        path.file_name().is_some_and(|name| {
            name.to_string_lossy()
                .trim_start_matches('.')
                .starts_with("wharf")
        })
    };
    entries(folder).into_iter().filter(of_a_wharf).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn forgotten_folders_are_found_and_those_of_others_are_not() {
        let memory = tempfile::tempdir().expect("a folder");
        let folder = |name: &str| {
            let path = memory.path().join(name);
            std::fs::create_dir(&path).expect("a folder");
            path
        };
        folder("wharf-before");
        let mut run = Run::new().expect("signals");
        let scratch = Scratch::new("wharf-test-leftovers", memory.path()).expect("folders");

        let used = folder("wharf-used");
        let mut user = std::process::Command::new("tail")
            .args(["-f", "/dev/null", "--"])
            .arg(used.join("log"))
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("tail starts");
        folder("unrelated");
        assert_eq!(files(&scratch), [""; 0].map(PathBuf::from));
        user.kill().expect("it runs");
        user.wait().expect("it ends");
        std::fs::remove_dir(used).expect("it is there");
        check(&mut run, &scratch).await.expect("nothing of ours is left");

        let forgotten = [scratch.profiles.join("session"), folder("wharf-after")];
        std::fs::create_dir(&forgotten[0]).expect("a folder");
        assert_eq!(files(&scratch), forgotten);
        check(&mut run, &scratch).await.expect_err("both are found");
    }
}
