//! A full house: who waits, for how long, and what is answered.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use wharf_testkit::{TestDatabase, Wharf};

use crate::{WHARF, polling};

/// A place that becomes free is noticed within a tick, and the browser starts cold.
const SOON: Duration = Duration::from_secs(30);

fn id(session: &Value) -> &str {
    session["id"].as_str().expect("an id")
}

/// The sessions with this status, when there are so many.
async fn wait_for(wharf: &Wharf, status: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    let path = format!("/v1/sessions?status={status}");
    let found = |body: &Value| body.as_array().cloned().unwrap_or_default();
    let listed = polling::until(wharf, &path, SOON, |body| found(body).len() == count).await?;
    Ok(found(&listed))
}

#[tokio::test]
async fn a_create_waits_for_a_slot_and_gets_it() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url(), "--slots", "1"]).await?;
    let first = wharf.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(first.status, 201, "{}", first.body);

    let second = wharf.call(Method::POST, "/v1/sessions", None);
    let freed = async {
        let waiting = wait_for(&wharf, "PENDING", 1).await?;
        assert!(
            waiting[0].get("connectUrl").is_none(),
            "there is nothing to connect to yet"
        );
        let path = format!("/v1/sessions/{}", id(&first.body));
        let release = json!({ "status": "REQUEST_RELEASE" });
        wharf.call(Method::POST, &path, Some(&release)).await
    };
    let (second, freed) = tokio::join!(second, freed);
    assert_eq!(freed?.status, 200);
    let second = second?;
    assert_eq!(
        (second.status, &second.body["status"]),
        (201, &json!("RUNNING")),
        "{}",
        second.body
    );

    let path = format!("/v1/sessions/{}/events", id(&second.body));
    let events = wharf.call(Method::GET, &path, None).await?.body;
    let kinds: Vec<_> = events
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| event["kind"].clone())
        .collect();
    assert_eq!(kinds, ["queued", "placed", "started"], "{events}");
    assert_eq!(events[0]["actor"]["kind"], "api_key");
    wharf.stop().await?;
    database.close().await
}

#[tokio::test]
async fn whoever_waits_in_vain_is_told_so() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let arguments = [
        "--database-url",
        database.url(),
        "--slots",
        "1",
        "--wait-within",
        "1",
    ];
    let wharf = Wharf::up(WHARF, &arguments).await?;
    assert_eq!(wharf.call(Method::POST, "/v1/sessions", None).await?.status, 201);
    let refused = wharf.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(
        refused.message().contains("had a free slot within 1 s"),
        "{}",
        refused.message()
    );
    assert!(refused.headers.contains_key("retry-after"));
    let ended = wait_for(&wharf, "ERROR", 1).await?;
    assert_eq!(ended[0]["endReason"], "launch_failed");
    wharf.stop().await?;
    database.close().await
}

#[tokio::test]
async fn everything_of_a_project_is_released_at_once_those_that_wait_included() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url(), "--slots", "1"]).await?;
    let first = wharf.call(Method::POST, "/v1/sessions", None).await?;
    let second = wharf.call(Method::POST, "/v1/sessions", None);
    let released = async {
        wait_for(&wharf, "PENDING", 1).await?;
        wharf.call(Method::POST, "/v1/sessions/release", None).await
    };
    let (second, released) = tokio::join!(second, released);
    let (second, released) = (second?, released?);
    let ids = released.body["released"].as_array().expect("a list");
    assert_eq!((released.status, ids.len()), (200, 2), "{}", released.body);
    assert!(ids.contains(&first.body["id"]));
    assert_eq!(second.status, 409, "{}", second.body);
    for session in wait_for(&wharf, "COMPLETED", 2).await? {
        assert_eq!(session["endReason"], "released");
    }
    let again = wharf.call(Method::POST, "/v1/sessions/release", None).await?;
    assert_eq!(again.body, json!({ "released": [] }));
    wharf.stop().await?;
    database.close().await
}
