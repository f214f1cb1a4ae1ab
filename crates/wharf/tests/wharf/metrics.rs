//! What a running Wharf tells about itself.

use std::time::Duration;

use reqwest::Method;
use tokio::time::{Instant, sleep};
use wharf_testkit::Wharf;

/// A busy machine puts a browser's start off for ten seconds, and slows it down.
const WITHIN: Duration = Duration::from_secs(40);

/// Polls the metrics until they hold this line; what is waited for happens in another process.
pub async fn tells(wharf: &Wharf, line: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let metrics = wharf.call(Method::GET, "/metrics", None).await?.body;
        let text = metrics.as_str().unwrap_or_default();
        if text.lines().any(|told| told == line) {
            return Ok(());
        }
        assert!(started.elapsed() < WITHIN, "never {line}: {text}");
        sleep(Duration::from_millis(20)).await;
    }
}
