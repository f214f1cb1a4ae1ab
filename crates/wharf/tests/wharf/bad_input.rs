//! Bad input is the normal case: each has an answer that names the field and says what to do.

use reqwest::Method;
use serde_json::{Value, json};
use wharf_testkit::{TestDatabase, Wharf};

use crate::WHARF;

fn refused_bodies() -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({ "timeout": 59 }),
            "body/timeout must be between 60 and 21600 seconds, not 59",
        ),
        (
            json!({ "timeout": 21_601 }),
            "body/timeout must be between 60 and 21600 seconds, not 21601",
        ),
        (json!({ "timeout": "60" }), "body/timeout must be an integer"),
        (json!({ "timeout": 60.5 }), "body/timeout must be an integer"),
        (json!({ "timeout": 1e30 }), "body/timeout must be an integer"),
        (json!({ "keepAlive": "yes" }), "body/keepAlive must be a boolean"),
        (
            json!({ "region": "mars-1" }),
            "body/region must be one of us-west-2",
        ),
        (json!({ "region": 1 }), "body/region must be a string"),
        (
            json!({ "userMetadata": [] }),
            "body/userMetadata must be an object",
        ),
        (
            json!({ "userMetadata": { "a": "x".repeat(512) } }),
            "body/userMetadata must be shorter than 512 characters",
        ),
        (
            json!({ "userMetadata": { "a": "\0" } }),
            "body/userMetadata must not contain",
        ),
        (
            json!({ "browserSettings": 1 }),
            "body/browserSettings must be an object",
        ),
        (
            json!({ "browserSettings": { "viewport": { "width": 10, "height": 800 } } }),
            "body/browserSettings/viewport",
        ),
        (
            json!({ "browserSettings": { "viewport": { "width": 800 } } }),
            "body/browserSettings/viewport missing field",
        ),
        (
            json!({ "browserSettings": { "os": "beos" } }),
            "body/browserSettings/os unknown variant",
        ),
        (
            json!({ "browserSettings": { "context": { "id": "x" } } }),
            "body/browserSettings/context/id",
        ),
        (
            json!({ "proxies": "yes" }),
            "body/proxies must be a boolean or an array of rules",
        ),
        (
            json!({ "proxies": [{ "type": "external" }] }),
            "body/proxies/0 missing field `server`",
        ),
        (json!({ "proxies": [{ "type": "tor" }] }), "body/proxies/0"),
    ]
}

#[tokio::test]
async fn a_refusal_names_the_field() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    for (body, message) in refused_bodies() {
        let answer = wharf.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        assert_eq!(
            (answer.status, &answer.body["error"]),
            (400, &json!("Bad Request")),
            "{body}"
        );
        assert!(
            answer.message().starts_with(message),
            "{body}: {}",
            answer.message()
        );
    }
    for (body, message) in [
        (b"{".to_vec(), "body is not valid JSON"),
        (b"\xff\xfe\x00".to_vec(), "body is not valid JSON"),
        (b"[]".to_vec(), "body must be an object"),
        ("[".repeat(200_000).into_bytes(), "body is not valid JSON"),
        (
            vec![b' '; (1 << 20) + 1],
            "body must not be larger than 1048576 bytes",
        ),
    ] {
        let answer = wharf.send(Method::POST, "/v1/sessions", body).await?;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.message().starts_with(message), "{}", answer.message());
    }
    // As deep as fits a request's head.
    let deep = format!("q=user_metadata{}:1", "%5B%27%27%5D".repeat(4_000));
    for (query, message) in [
        (
            deep.as_str(),
            "querystring/q is not a metadata query: : after 64 keys expected",
        ),
        ("status=running", "querystring/status must be one of PENDING"),
        (
            "q=user_metadata%5B%27a%27%5D",
            "querystring/q is not a metadata query: [ or : expected at column 19",
        ),
        (
            "q=%27%3B+DROP+TABLE+sessions",
            "querystring/q is not a metadata query",
        ),
        ("limit=0", "querystring/limit must be an integer from 1 to 1000"),
        ("before=yesterday", "querystring/before must be a UUID"),
        ("status=RUNNING&status=ERROR", "querystring: "),
    ] {
        let answer = wharf
            .call(Method::GET, &format!("/v1/sessions?{query}"), None)
            .await?;
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            answer.message().starts_with(message),
            "{query}: {}",
            answer.message()
        );
    }
    wharf.stop().await?;
    database.close().await
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (method, path) in [
        (Method::GET, format!("/v1/sessions/{nobody}")),
        (Method::GET, "/v1/sessions/latest".to_owned()),
        (Method::GET, "/v1/sessions/%2e%2e%2f".to_owned()),
        (Method::GET, format!("/v1/projects/{nobody}")),
        (Method::GET, format!("/v1/projects/{nobody}/usage")),
        (Method::POST, "/_stainless_unknown_path".to_owned()),
        (Method::GET, "/_stainless_unknown_path".to_owned()),
    ] {
        let answer = wharf.call(method, &path, None).await?;
        assert_eq!(
            (answer.status, &answer.body["statusCode"]),
            (404, &json!(404)),
            "{path}: {}",
            answer.body
        );
    }
    let release = json!({ "status": "REQUEST_RELEASE" });
    let answer = wharf
        .call(Method::POST, &format!("/v1/sessions/{nobody}"), Some(&release))
        .await?;
    assert_eq!(answer.status, 404);
    for path in ["/v1/sessions", "/"] {
        let answer = wharf.call(Method::PUT, path, None).await?;
        assert_eq!(
            (answer.status, &answer.body["statusCode"]),
            (405, &json!(405)),
            "{path}"
        );
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
    }
    wharf.stop().await?;
    database.close().await
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_and_not_retried() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    for (body, field) in [
        (json!({ "extensionId": "e" }), "body/extensionId"),
        (
            json!({ "browserSettings": { "verified": true } }),
            "body/browserSettings.verified",
        ),
    ] {
        let answer = wharf.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        assert_eq!(
            (answer.status, &answer.headers["x-should-retry"]),
            (501, &"false".parse()?)
        );
        assert!(answer.message().starts_with(field), "{}", answer.message());
    }
    let sessions = wharf.call(Method::GET, "/v1/sessions", None).await?;
    assert_eq!(sessions.body, json!([]), "a refused create left a session");
    wharf.stop().await?;
    database.close().await
}
