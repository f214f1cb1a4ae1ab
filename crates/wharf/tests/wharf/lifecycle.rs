//! A session's life as the API tells it, where the official clients' tests do not look.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use wharf_testkit::{Tenant, TestDatabase, Wharf};

use crate::{WHARF, polling};

/// A reconciler looks every five seconds.
const RECONCILED_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_session_has_every_field_of_the_original() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(
        WHARF,
        &["--database-url", database.url(), "--region", "eu-central-1"],
    )
    .await?;
    let body = json!({
        "region": "eu-central-1", "timeout": 120, "keepAlive": true, "fingerprint": { "devices": ["desktop"] },
        "userMetadata": { "env": "staging", "try": 2 }, "browserSettings": { "logSession": true },
    });
    let created = wharf.call(Method::POST, "/v1/sessions", Some(&body)).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    for field in [
        "id",
        "createdAt",
        "updatedAt",
        "projectId",
        "startedAt",
        "expiresAt",
        "connectUrl",
        "seleniumRemoteUrl",
        "signingKey",
    ] {
        assert!(created.body[field].is_string(), "{field}: {}", created.body);
    }
    for field in ["proxyBytes", "egressBytes", "avgCpuUsage", "memoryUsage"] {
        assert!(created.body[field].is_u64(), "{field}: {}", created.body);
    }
    for field in ["region", "keepAlive", "userMetadata", "browserSettings"] {
        assert_eq!(created.body[field], body[field], "{field}");
    }
    assert!(created.headers.contains_key("x-ratelimit-remaining"));
    let path = format!("/v1/sessions/{}", created.body["id"].as_str().expect("an id"));
    let read = wharf.call(Method::GET, &path, None).await?.body;
    assert_eq!(
        read["connectUrl"], created.body["connectUrl"],
        "a client reconnects with the URL that it was first given"
    );

    let release = json!({ "status": "REQUEST_RELEASE", "projectId": wharf.project_id() });
    for _ in 0..2 {
        let released = wharf.call(Method::POST, &path, Some(&release)).await?;
        assert_eq!(
            (released.status, &released.body["status"]),
            (200, &json!("COMPLETED"))
        );
        assert_eq!(
            (&released.body["endReason"], released.body.get("connectUrl")),
            (&json!("released"), None)
        );
    }
    let elsewhere = wharf
        .call(
            Method::POST,
            "/v1/sessions",
            Some(&json!({ "region": "us-east-1" })),
        )
        .await?;
    assert_eq!(
        elsewhere.status, 503,
        "no worker serves that region: {}",
        elsewhere.body
    );
    assert!(elsewhere.headers.contains_key("retry-after") && elsewhere.message().contains("us-east-1"));
    wharf.stop().await?;
    database.close().await
}

#[tokio::test]
async fn limits_are_refused_with_what_they_are() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let tenant = Tenant::create(&database.store, "small", 1, 2).await?;
    let create = || wharf.call_as(Some(tenant.key.expose()), Method::POST, "/v1/sessions", None);
    let first = create().await?;
    assert_eq!(
        (first.status, &first.headers["x-ratelimit-remaining"]),
        (201, &"1".parse()?)
    );
    let refused = create().await?;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(
        refused
            .message()
            .contains("max concurrent sessions limit (limit 1, currently 1); the oldest that hold a place: "),
        "{}",
        refused.message()
    );
    assert_eq!(
        refused.headers["x-ratelimit-remaining"], "1",
        "a refused create does not count"
    );
    assert!(refused.headers["retry-after"].to_str()?.parse::<u64>()? <= 60);

    let path = format!("/v1/sessions/{}", first.body["id"].as_str().expect("an id"));
    let release = json!({ "status": "REQUEST_RELEASE" });
    assert_eq!(
        wharf
            .call_as(Some(tenant.key.expose()), Method::POST, &path, Some(&release))
            .await?
            .status,
        200
    );
    let second = create().await?;
    assert_eq!(
        second.status, 201,
        "the released session's place is free: {}",
        second.body
    );
    let refused = create().await?;
    assert_eq!(
        (refused.status, &refused.headers["x-ratelimit-remaining"]),
        (429, &"0".parse()?)
    );
    assert!(
        refused
            .message()
            .contains("creation limit (limit 2 per minute, currently 2)"),
        "{}",
        refused.message()
    );
    wharf.stop().await?;
    database.close().await
}

async fn wait_for(wharf: &Wharf, path: &str, status: &str) -> anyhow::Result<Value> {
    polling::until(wharf, path, RECONCILED_WITHIN, |session| {
        session["status"] == status
    })
    .await
}

#[tokio::test]
async fn a_session_whose_deadline_nobody_kept_is_ended_by_the_reconciler() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let created = wharf
        .call(Method::POST, "/v1/sessions", Some(&json!({ "keepAlive": true })))
        .await?
        .body;
    database.overdue_sessions().await?;
    let path = format!("/v1/sessions/{}", created["id"].as_str().expect("an id"));
    let session = wait_for(&wharf, &path, "TIMED_OUT").await?;
    assert_eq!(session["endReason"], "timeout");
    assert_eq!(
        database.counters().await?,
        (0, 0),
        "what the session held is given back"
    );
    wharf.stop().await?;
    database.close().await
}

#[tokio::test]
async fn a_session_that_is_left_alone_ends_as_idle_if_it_is_to() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let refused = wharf
        .call(Method::POST, "/v1/sessions", Some(&json!({ "idleTimeout": 9 })))
        .await?;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(
        refused.message(),
        "body/idleTimeout must be between 10 and 21600 seconds, not 9"
    );
    let body = json!({ "idleTimeout": 10, "keepAlive": true });
    let created = wharf.call(Method::POST, "/v1/sessions", Some(&body)).await?;
    assert_eq!((created.status, &created.body["idleTimeout"]), (201, &json!(10)));
    let path = format!("/v1/sessions/{}", created.body["id"].as_str().expect("an id"));
    let ended = wait_for(&wharf, &path, "COMPLETED").await?;
    assert_eq!(ended["endReason"], "idle");
    wharf.stop().await?;
    database.close().await
}
