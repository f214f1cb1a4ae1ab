//! `wharf up --warm`: a browser is ready before anybody asks for one.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};
use wharf_testkit::Wharf;

use crate::{WHARF, processes};

const RESTING: &str = "wharf_worker_warm_browsers 1";
/// A busy machine puts a start off for ten seconds, and slows it down.
const READY_WITHIN: Duration = Duration::from_secs(40);

async fn metrics(wharf: &Wharf) -> anyhow::Result<String> {
    let answer = wharf.call(Method::GET, "/metrics", None).await?;
    Ok(answer.body.as_str().unwrap_or_default().to_owned())
}

/// Polls the metrics until they hold this line; what is waited for happens in another process.
async fn tells(wharf: &Wharf, line: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let text = metrics(wharf).await?;
        if text.lines().any(|told| told == line) {
            return Ok(());
        }
        assert!(started.elapsed() < READY_WITHIN, "never {line}: {text}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_gets_the_browser_that_waits_and_a_stop_leaves_none() -> anyhow::Result<()> {
    let wharf = Wharf::up(WHARF, &["--warm", "1"]).await?;
    tells(&wharf, RESTING).await?;
    let sized = json!({ "browserSettings": { "viewport": { "width": 1024, "height": 768 } } });
    let created = wharf.call(Method::POST, "/v1/sessions", Some(&sized)).await?;
    assert_eq!(
        (created.status, &created.body["status"]),
        (201, &json!("RUNNING"))
    );
    tells(&wharf, "wharf_worker_claims_total{outcome=\"warm\"} 1").await?;
    tells(&wharf, RESTING).await?;

    let family = processes::descendants(wharf.pid());
    let browsers = wharf.data_dir().join("browsers");
    let data_dir = wharf.data_dir().to_owned();
    let status = wharf.stop().await?;
    assert!(status.success(), "{status}");
    assert!(processes::all_end(&family, Duration::ZERO).await);
    assert_eq!(processes::naming(&data_dir), Vec::<u32>::new());
    assert!(!browsers.exists() || std::fs::read_dir(browsers)?.count() == 0);
    Ok(())
}
