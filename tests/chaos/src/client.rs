//! A client in a process of its own, which can be killed as a client is.

use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use wharf_testkit::Cdp;

const CONNECTED: &str = "connected";

/// Connects, says so, and stays until the other side ends it.
pub async fn stay(url: &str) -> anyhow::Result<()> {
    let mut client = Cdp::connect(url).await?;
    client.count_up().await?;
    writeln!(std::io::stdout(), "{CONNECTED}")?;
    client.ended().await;
    Ok(())
}

/// Starts such a client, and returns once it is connected.
pub async fn start(url: &str) -> anyhow::Result<Child> {
    let mut client = Command::new(std::env::current_exe()?)
        .args(["client", url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = client.stdout.take().context("standard output is a pipe")?;
    let line = BufReader::new(stdout).lines().next_line().await?;
    ensure!(line.as_deref() == Some(CONNECTED), "a client did not connect");
    Ok(client)
}
