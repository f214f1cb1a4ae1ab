//! `wharf up --warm`: a browser is ready before anybody asks for one.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use wharf_testkit::Wharf;

use crate::polling::tells;
use crate::{WHARF, processes};

const RESTING: &str = "wharf_worker_warm_browsers 1";

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
