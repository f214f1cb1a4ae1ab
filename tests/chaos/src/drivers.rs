//! The vendors' own SDKs, unmodified, as processes that create sessions.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::process::Command;
use wharf_testkit::Tenant;

/// Which SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    Python,
    Node,
}

/// What an SDK came to, for one logical create.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    /// The create's number, which is in the session's metadata.
    pub create: i64,
    /// The session, if it was told of one.
    pub session: Option<String>,
    /// Else what it said.
    pub error: Option<String>,
}

/// Where the SDKs are, installed if need be.
pub async fn install() -> anyhow::Result<PathBuf> {
    let output = Command::new(repository().join("tests/clients/install"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("tests/clients/install could not be run")?;
    ensure!(output.status.success(), "the SDKs could not be installed");
    let told = String::from_utf8(output.stdout)?;
    Ok(PathBuf::from(told.trim()))
}

/// Creates `count` sessions, each with a number of its own from `first` on, `parallel` at a time.
pub async fn create(
    sdk: Sdk,
    clients: &Path,
    base_url: &str,
    tenant: &Tenant,
    (first, count, parallel): (usize, usize, usize),
) -> anyhow::Result<Vec<Created>> {
    let drivers = repository().join("tests/chaos/drivers");
    // Node looks for packages in the folders above a program, so the program goes next to the packages.
    let folder = tempfile::tempdir()?;
    let mut command = match sdk {
        Sdk::Python => {
            let mut command = Command::new(clients.join("venv/bin/python"));
            command.arg(drivers.join("creates.py"));
            command
        }
        Sdk::Node => {
            let program = folder.path().join("creates.mjs");
            std::fs::copy(drivers.join("creates.mjs"), &program)?;
            std::os::unix::fs::symlink(clients.join("node_modules"), folder.path().join("node_modules"))?;
            let mut command = Command::new("node");
            command.arg(program);
            command
        }
    };
    let output = command
        .args([first, count, parallel].map(|number| number.to_string()))
        .env("BROWSERBASE_BASE_URL", base_url)
        .env("BROWSERBASE_API_KEY", tenant.key.expose())
        .env("BROWSERBASE_PROJECT_ID", tenant.project.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_DISABLE_COMPILE_CACHE", "1")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "the {sdk:?} SDK's program failed");
    let created = String::from_utf8(output.stdout)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Created>, _>>()?;
    ensure!(
        created.len() == count,
        "the {sdk:?} SDK's program told of {} creates",
        created.len()
    );
    Ok(created)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
