//! `make test`: everything, in order, with one Postgres for the whole run, and a look at what is left afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::database::Database;
use crate::steps::{Run, Step};
use crate::workspace::{self, Source, cargo};
use crate::{lint, processes};

mod leftovers;

/// What the tests are told. A test started by hand has none of these and makes its own.
const DATABASE_URL: &str = crate::database::ADMIN_URL;
const PROFILE_ROOT: &str = "WHARF_TEST_PROFILE_ROOT";
const BINARY: &str = "WHARF_TEST_BINARY";

const CLIENTS: &str = "tests/clients/run";
const MEMORY: &str = "/dev/shm";

/// A killed process may first have to give back gigabytes, or wait for a disk.
const LONGEST_DEATH: Duration = Duration::from_secs(5);

/// Runs everything up to the first failure, ends whatever is still running, and prints how long each step took.
pub async fn run(no_chaos: bool) -> Result<()> {
    if no_chaos && std::env::var_os("CI").is_some() {
        bail!("--no-chaos is for a developer in a hurry: what is merged has been through the faults");
    }
    let mut run = Run::new()?;
    let name = format!("wharf-test-{}", std::process::id());
    let scratch = Scratch::new(&name, Path::new(MEMORY))?;
    let outcome = everything(&mut run, &scratch, no_chaos).await;
    end_everything(&mut run).await;
    run.summarize();
    outcome
}

/// After a failure, what is still running is no finding of its own; it only has to go, before its folders do.
async fn end_everything(run: &mut Run) {
    let deadline = Instant::now() + LONGEST_DEATH;
    loop {
        let living = processes::descendants();
        living.iter().for_each(processes::Process::kill);
        if living.is_empty() || !run.child_ended_before(deadline).await {
            return;
        }
    }
}

async fn everything(run: &mut Run, scratch: &Scratch, no_chaos: bool) -> Result<()> {
    run.all(lint::steps()?).await?;

    let starting = Instant::now();
    let database = Database::start(&scratch.root.join("postgres")).await;
    run.note("start Postgres", starting, database.is_ok());
    let database = database?;
    let outcome = run.all(steps(scratch, &database, no_chaos)?).await;
    let stopped = database.stop().await;
    outcome.and(stopped)?;

    let looking = Instant::now();
    let clean = leftovers::check(run, scratch).await;
    run.note("nothing left behind", looking, clean.is_ok());
    clean
}

fn steps(scratch: &Scratch, database: &Database, no_chaos: bool) -> Result<Vec<Step>> {
    let binaries = workspace::binaries()?;
    let wharf = binaries.join("wharf");
    let own = |arguments: &[&str]| {
        let mut command = Command::new(binaries.join("xtask"));
        command
            .args(arguments)
            .current_dir(workspace::root())
            .env(DATABASE_URL, database.url());
        command
    };
    let with_surroundings = |mut command: Command| {
        command
            .env(DATABASE_URL, database.url())
            .env(BINARY, &wharf)
            .env(PROFILE_ROOT, &scratch.profiles)
            .env("TMPDIR", &scratch.temporary)
            // Newer versions of npm leave a compile cache in TMPDIR.
            .env("NODE_DISABLE_COMPILE_CACHE", "1");
        command
    };

    let mut openapi = own(&["openapi", "--check", "--binary"]);
    openapi.arg(&wharf);
    let mut steps = vec![
        Step::new("query cache", own(&["sqlx-prepare", "--check"])),
        Step::new("build", cargo(["build", "--quiet", "--locked", "--workspace"])),
        Step::new("openapi", openapi),
        Step::new(
            "tests",
            with_surroundings(cargo(["nextest", "run", "--locked", "--workspace"])),
        ),
    ];
    if workspace::sources()?.iter().any(has_doc_test) {
        let doc_tests = cargo(["test", "--quiet", "--locked", "--workspace", "--doc"]);
        steps.push(Step::new("doc tests", with_surroundings(doc_tests)));
    }
    let mut clients = Command::new(workspace::root().join(CLIENTS));
    clients.current_dir(workspace::root());
    steps.push(Step::new("official clients", with_surroundings(clients)));
    if !no_chaos {
        let mut chaos = Command::new(binaries.join("wharf-chaos"));
        chaos.arg("--short").current_dir(workspace::root());
        steps.push(Step::new("chaos", with_surroundings(chaos)));
    }
    Ok(steps)
}

/// Whether a doc comment holds a block of Rust: nextest does not run those, and most of our crates have none.
fn has_doc_test(source: &Source) -> bool {
    let mut inside = false;
    for line in source.text.lines().filter(|_| source.extension() == "rs") {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let Some(fence) = comment.and_then(|text| text.trim_start().strip_prefix("```")) else {
            continue;
        };
        if !inside && ["", "rust", "no_run", "should_panic", "compile_fail"].contains(&fence.trim()) {
            return true;
        }
        inside = !inside;
    }
    false
}

/// The folders of one run; they go when it ends, whatever happened.
struct Scratch {
    root: PathBuf,
    /// TMPDIR of every test.
    temporary: PathBuf,
    /// Where tests put browser profiles: in memory when the machine allows.
    profiles: PathBuf,
    /// The file system in memory, where a Wharf that was told nothing puts its profiles.
    memory: PathBuf,
    /// Folders there of other Wharfs on this machine, from before the run.
    others: Vec<PathBuf>,
}

impl Scratch {
    fn new(name: &str, memory: &Path) -> Result<Self> {
        // Paths of unix sockets hold 107 bytes, so these stay short.
        let root = std::env::temp_dir().join(name);
        let scratch = Self {
            temporary: root.join("tmp"),
            profiles: if memory.is_dir() {
                memory.join(name)
            } else {
                root.join("profiles")
            },
            root,
            memory: memory.to_owned(),
            others: leftovers::of_wharfs(memory),
        };
        for folder in [&scratch.root, &scratch.temporary, &scratch.profiles] {
            fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for folder in [&self.root, &self.profiles] {
            if let Err(error) = fs::remove_dir_all(folder)
                && folder.exists()
            {
                println!("{} could not be removed: {error}", folder.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source {
            path: "a.rs".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_block_of_rust_in_a_doc_comment_is_a_doc_test() {
        assert!(has_doc_test(&source(
            "/// ```\n/// assert!(true);\n/// ```\nfn a() {}"
        )));
        assert!(has_doc_test(&source(
            "//! ```text\n//! a\n//! ```\n//! ```no_run\n//! b\n//! ```"
        )));
    }

    #[test]
    fn other_blocks_are_not() {
        assert!(!has_doc_test(&source("/// ```text\n/// a\n/// ```\nfn a() {}")));
        assert!(!has_doc_test(&source("// ```\n// a\n// ```\nfn a() {}")));
    }

    #[test]
    fn the_folders_of_a_run_go_with_it() {
        let memory = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new("wharf-test-scratch", memory.path()).expect("folders");
        let folders = [scratch.root.clone(), scratch.profiles.clone()];
        fs::write(scratch.temporary.join("file"), "").expect("a file");
        drop(scratch);
        assert_eq!(folders.map(|folder| folder.exists()), [false, false]);
    }
}
