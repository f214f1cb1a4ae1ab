//! The Wharf that is measured: the release binary as a process, on a data directory of its own.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What `wharf up` prints when it can be used.
const READY: &str = "Wharf is ready.";
/// A first start makes a database cluster.
const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// A browser is gone 20-40 ms after its release, and replaced a second later; a busy machine puts that off.
const METRIC_WITHIN: Duration = Duration::from_secs(30);
const METRIC_ASKED_EVERY: Duration = Duration::from_millis(5);
/// Browsers that a worker has, as `/metrics` counts them.
const SESSIONS_METRIC: &str = "wharf_worker_sessions";
/// Browsers that wait for a session.
const WARM_METRIC: &str = "wharf_worker_warm_browsers";
/// Sessions that got such a browser.
const WARM_CLAIMS_METRIC: &str = "wharf_worker_claims_total{outcome=\"warm\"}";
/// Lines of Wharf's log that an error quotes.
const LAST_WORDS: usize = 20;

/// A `wharf up` that runs until it is stopped.
#[derive(Debug)]
pub struct Wharf {
    process: Child,
    /// Kept open: a service that prints to a closed pipe ends.
    _stdout: Lines<BufReader<ChildStdout>>,
    base_url: String,
    api_key: String,
    http: reqwest::Client,
    /// Removed last.
    folder: TempDir,
}

/// A session whose browser answers.
#[derive(Debug)]
pub struct Session {
    id: String,
    /// Where CDP clients connect.
    pub connect_url: String,
}

impl Wharf {
    /// Starts `binary up` on a free port, with this many browsers that wait for sessions, and waits until it can be used.
    pub async fn start(binary: &Path, warm: u32) -> anyhow::Result<Wharf> {
        let folder = tempfile::tempdir()?;
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let mut process = spawn(binary, &folder, warm)?;
        let stdout = process.stdout.take().context("standard output is a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = timeout(START_WITHIN, ready(&mut lines, &folder)).await;
        match ready.context("wharf up took too long to start").flatten() {
            Ok((base_url, api_key)) => Ok(Wharf {
                process,
                _stdout: lines,
                base_url,
                api_key,
                http,
                folder,
            }),
            Err(error) => {
                end(&mut process).await?;
                Err(error)
            }
        }
    }

    /// A place on disk that goes when Wharf goes.
    pub fn scratch_folder(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    /// Creates a session, and takes the time from sending the request until the answer is read.
    pub async fn create(&self) -> anyhow::Result<(Session, Duration)> {
        let started = Instant::now();
        let (status, body) = self.post("/v1/sessions", &json!({})).await?;
        let took = started.elapsed();
        ensure!(
            status == StatusCode::CREATED,
            "a session was not created: {status} {body}\n{}",
            last_words(&self.folder)
        );
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        let session = Session {
            id: text("id").context("a session without an id")?,
            connect_url: text("connectUrl").context("a session without a connectUrl")?,
        };
        Ok((session, took))
    }

    /// Releases a session and waits until no trace of its browser is left, so that its end is nobody else's load.
    pub async fn release(&self, session: &Session) -> anyhow::Result<()> {
        let path = format!("/v1/sessions/{}", session.id);
        let (status, body) = self.post(&path, &json!({ "status": "REQUEST_RELEASE" })).await?;
        ensure!(status.is_success(), "a session was not released: {status} {body}");
        self.reaches(SESSIONS_METRIC, 0).await
    }

    /// Waits until this many browsers wait for a session.
    pub async fn is_warm(&self, browsers: u32) -> anyhow::Result<()> {
        self.reaches(WARM_METRIC, browsers).await
    }

    /// How many sessions got a browser that had waited.
    pub async fn warm_claims(&self) -> anyhow::Result<u32> {
        self.metric(WARM_CLAIMS_METRIC).await
    }

    /// Ends Wharf as Ctrl-C does, and waits until it is gone with everything it started.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let status = end(&mut self.process).await?;
        ensure!(
            status.success(),
            "wharf up ended with {status}:\n{}",
            last_words(&self.folder)
        );
        Ok(())
    }

    async fn reaches(&self, metric: &str, expected: u32) -> anyhow::Result<()> {
        let reached = async {
            let mut ticks = interval(METRIC_ASKED_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while self.metric(metric).await? != expected {
                ticks.tick().await;
            }
            Ok(())
        };
        timeout(METRIC_WITHIN, reached).await.with_context(|| {
            format!(
                "{metric} does not become {expected}\n{}",
                last_words(&self.folder)
            )
        })?
    }

    /// A metric's value; 0 before it is first set.
    async fn metric(&self, name: &str) -> anyhow::Result<u32> {
        let answer = self.http.get(format!("{}/metrics", self.base_url)).send().await?;
        metric(&answer.error_for_status()?.text().await?, name)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<(StatusCode, Value)> {
        let answer = self
            .http
            .post(format!("{}{path}", self.base_url))
            .header("X-BB-API-Key", &self.api_key)
            .json(body)
            .send()
            .await?;
        Ok((answer.status(), answer.json().await?))
    }
}

fn spawn(binary: &Path, folder: &TempDir, warm: u32) -> anyhow::Result<Child> {
    Command::new(binary)
        .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir(folder))
        .args(["--warm", &warm.to_string()])
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(log_path(folder))?)
        // Ctrl-C is for us, and we stop Wharf, once. A second signal would make it leave things behind.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| {
            let binary = binary.display();
            format!("{binary} did not start; build it, or name another with WHARF_BIN")
        })
}

/// Waits until Wharf can be used, and answers with its address and key.
async fn ready(
    stdout: &mut Lines<BufReader<ChildStdout>>,
    folder: &TempDir,
) -> anyhow::Result<(String, String)> {
    while let Some(line) = stdout.next_line().await? {
        if line == READY {
            let env = std::fs::read_to_string(data_dir(folder).join("env"))?;
            return Ok((
                value(&env, "BROWSERBASE_BASE_URL")?,
                value(&env, "BROWSERBASE_API_KEY")?,
            ));
        }
    }
    bail!("wharf up ended before it was ready:\n{}", last_words(folder))
}

/// As Ctrl-C does; a kill would leave Postgres behind.
async fn end(process: &mut Child) -> anyhow::Result<ExitStatus> {
    // None once it has ended and was waited for.
    if let Some(id) = process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
        kill_process(id, Signal::INT)?;
    }
    Ok(timeout(STOP_WITHIN, process.wait())
        .await
        .context("wharf up took too long to stop")??)
}

/// The wharf that was named, or the one that was built with this program.
pub fn binary(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match named {
        Some(path) => Ok(path),
        None => Ok(std::env::current_exe()?.with_file_name("wharf")),
    }
}

fn value(env: &str, name: &str) -> anyhow::Result<String> {
    env.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
        .with_context(|| format!("wharf up did not tell its {name}"))
}

fn metric(text: &str, name: &str) -> anyhow::Result<u32> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .unwrap_or("0");
    value
        .parse()
        .with_context(|| format!("{name} is {value:?}, which is no count"))
}

fn data_dir(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

fn log_path(folder: &TempDir) -> PathBuf {
    folder.path().join("wharf.log")
}

fn last_words(folder: &TempDir) -> String {
    let log = std::fs::read_to_string(log_path(folder)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let env = "A_KEY=one\nKEY=two=2\n";
        assert_eq!(value(env, "KEY").unwrap(), "two=2");
        assert!(value(env, "KE").is_err());
    }

    #[test]
    fn a_metric_is_found_by_its_whole_name_and_labels() {
        let text = "# TYPE a gauge\na_b 7\na 2\nc{d=\"e\"} 3\n";
        assert_eq!(metric(text, "a").unwrap(), 2);
        assert_eq!(metric(text, "c{d=\"e\"}").unwrap(), 3);
        assert_eq!(metric(text, "c").unwrap(), 0);
        assert!(metric("a x", "a").is_err());
    }

    #[test]
    fn without_a_name_it_is_the_neighbour() {
        let neighbour = binary(None).unwrap();
        assert_eq!(neighbour.file_name().unwrap(), "wharf");
        assert_eq!(neighbour.parent(), std::env::current_exe().unwrap().parent());
        assert_eq!(binary(Some("/x".into())).unwrap(), PathBuf::from("/x"));
    }
}
