//! The real binary, as a process.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::{Answer, ApiClient};

/// What `wharf up` prints when it can be used.
const READY: &str = "Wharf is ready.";
/// A first start makes a database cluster, and these machines are slow under load.
const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A `wharf up` that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Wharf {
    process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    data_dir: PathBuf,
    folder: Option<TempDir>,
    env: HashMap<String, String>,
    client: ApiClient,
}

impl Wharf {
    /// Starts `binary up` with a data directory of its own and these further arguments, and waits until it is ready.
    /// Without browsers that wait for sessions, unless the arguments name `--warm`: most tests start none.
    pub async fn up(binary: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data_dir = folder.path().join("data");
        let mut wharf = Self::up_on(binary, &data_dir, arguments).await?;
        wharf.folder = Some(folder);
        Ok(wharf)
    }

    /// The same, on a data directory that the test looks after.
    pub async fn up_on(binary: &str, data_dir: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = command(binary, data_dir, arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().context("standard output is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if line == READY {
                    return Ok(());
                }
            }
            bail!("wharf up ended before it was ready: {}", process.wait().await?)
        };
        timeout(START_WITHIN, ready)
            .await
            .context("wharf up took too long to start")??;
        let env = std::fs::read_to_string(data_dir.join("env"))?;
        let env: HashMap<String, String> = env
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let client = ApiClient::new(&env["BROWSERBASE_BASE_URL"], &env["BROWSERBASE_API_KEY"])?;
        Ok(Self {
            process,
            _stdout: lines,
            data_dir: data_dir.to_owned(),
            folder: None,
            env,
            client,
        })
    }

    /// The base URL of the API.
    pub fn base_url(&self) -> &str {
        &self.env["BROWSERBASE_BASE_URL"]
    }

    /// The key that `up` made.
    pub fn api_key(&self) -> &str {
        &self.env["BROWSERBASE_API_KEY"]
    }

    /// The project that `up` made.
    pub fn project_id(&self) -> &str {
        &self.env["BROWSERBASE_PROJECT_ID"]
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Calls the API with `up`'s own key.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.client.call(method, path, body).await
    }

    /// Uploads a file, with this key or none.
    pub async fn upload(&self, key: Option<&str>, path: &str, file: &str) -> anyhow::Result<Answer> {
        self.client.upload(key, path, file).await
    }

    /// Calls the API with this key, or none.
    pub async fn call_as(
        &self,
        key: Option<&str>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        self.client.call_as(key, method, path, body).await
    }

    /// Sends a body as it is, announced as JSON.
    pub async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        self.client.send(method, path, body).await
    }

    /// Asks the process to end, as Ctrl-C does, and waits for it.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::INT)?;
        Ok(timeout(STOP_WITHIN, self.process.wait())
            .await
            .context("wharf up took too long to stop")??)
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(timeout(STOP_WITHIN, self.process.wait())
            .await
            .context("wharf up goes on")??)
    }

    /// Ends the process as `kill -9` does, and waits for it.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)?;
        self.process.wait().await?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self
            .process
            .id()
            .and_then(|id| Pid::from_raw(id.try_into().ok()?))
            .context("the process has ended")?;
        Ok(kill_process(pid, signal)?)
    }
}

/// `binary up` on any free port, without what a developer's shell may hold.
fn command(binary: &str, data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    let cold: &[&str] = match arguments.contains(&"--warm") {
        true => &[],
        false => &["--warm", "0"],
    };
    command
        .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .args(arguments)
        .args(cold)
        .env_remove("DATABASE_URL")
        // Nobody listens there: whatever asks the environment for a proxy on its way through the fleet is found out.
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("http_proxy", "http://127.0.0.1:9")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
