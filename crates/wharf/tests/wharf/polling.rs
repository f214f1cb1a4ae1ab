//! Asking a running Wharf until it says something. What is waited for happens in other processes, which tell nobody here.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use wharf_testkit::Wharf;

const EVERY: Duration = Duration::from_millis(20);
/// A busy machine puts a browser's start off for ten seconds, and slows it down.
const TOLD_WITHIN: Duration = Duration::from_secs(40);

/// The first answer to a GET of `path` that is so.
pub async fn until(
    wharf: &Wharf,
    path: &str,
    within: Duration,
    is_so: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        let body = wharf.call(Method::GET, path, None).await?.body;
        if is_so(&body) {
            return Ok(body);
        }
        assert!(started.elapsed() < within, "{path} is still {body}");
        sleep(EVERY).await;
    }
}

/// Until the metrics hold this line.
pub async fn tells(wharf: &Wharf, line: &str) -> anyhow::Result<()> {
    let is_told = |metrics: &Value| {
        metrics
            .as_str()
            .is_some_and(|text| text.lines().any(|told| told == line))
    };
    until(wharf, "/metrics", TOLD_WITHIN, is_told).await.map(drop)
}
