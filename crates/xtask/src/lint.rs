//! What can be said of the code without running it.

use std::process::Command;

use anyhow::Result;

use crate::steps::{Run, Step};
use crate::workspace::{self, cargo};

/// Runs the steps of [`steps`] in order, up to the first that fails.
pub async fn run() -> Result<()> {
    let mut run = Run::new()?;
    let outcome = run.all(steps()?).await;
    run.summarize();
    outcome
}

/// Asks the network's database for known vulnerabilities in what we depend on.
pub async fn audit() -> Result<()> {
    Run::new()?
        .all(vec![Step::new("advisories", deny(&["advisories"]))])
        .await
}

fn deny(checks: &[&str]) -> Command {
    // Duplicate versions are for `cargo deny check bans` to list now and then, not for every run.
    let mut command = cargo(["deny", "--locked", "check", "--allow", "duplicate"]);
    command.args(checks);
    command
}

/// Cheapest first. Advisories are left to [`audit`], since they need the network.
pub fn steps() -> Result<Vec<Step>> {
    let mut tidy = Command::new(std::env::current_exe()?);
    tidy.arg("tidy").current_dir(workspace::root());
    Ok(vec![
        Step::new("format", cargo(["fmt", "--all", "--check"])),
        Step::new("tidy", tidy),
        Step::new(
            "clippy",
            cargo([
                "clippy",
                "--quiet",
                "--locked",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        Step::new("licences and bans", deny(&["bans", "licenses", "sources"])),
    ])
}
