//! One logical create is one session, however often it is sent.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use wharf_testkit::{TestDatabase, Wharf};

use crate::WHARF;

/// The first try of a generated client comes half a second after the loss, less a quarter.
const CLIENTS_PAUSE: Duration = Duration::from_millis(375);

struct Scene {
    database: TestDatabase,
    wharf: Wharf,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let database = TestDatabase::new().await?;
        let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
        Ok(Self { database, wharf })
    }

    /// A create call with these headers, on a connection of its own that stays open as long as the client.
    async fn create(
        &self,
        client: &reqwest::Client,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> anyhow::Result<(u16, HeaderMap, Value)> {
        let mut request = client
            .post(format!("{}/v1/sessions", self.wharf.base_url()))
            .json(body);
        request = request.header("X-BB-API-Key", self.wharf.api_key());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        Ok((
            answer.status().as_u16(),
            answer.headers().clone(),
            answer.json().await?,
        ))
    }

    /// A create call of a generated client whose connection breaks after so many bytes of the answer.
    async fn lose(&self, body: &str, bytes: usize) -> anyhow::Result<()> {
        let address = self.wharf.base_url().trim_start_matches("http://").to_owned();
        let mut connection = TcpStream::connect(&address).await?;
        let request = format!(
            "POST /v1/sessions HTTP/1.1\r\nhost: {address}\r\nx-bb-api-key: {}\r\nx-stainless-retry-count: 0\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.wharf.api_key(),
            body.len(),
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = vec![0; bytes];
        connection.read_exact(&mut answer).await?;
        Ok(())
    }

    async fn sessions(&self) -> anyhow::Result<usize> {
        let list = self
            .wharf
            .call(reqwest::Method::GET, "/v1/sessions", None)
            .await?
            .body;
        Ok(list.as_array().context("a list")?.len())
    }

    async fn close(self) -> anyhow::Result<()> {
        self.wharf.stop().await?;
        self.database.close().await
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

#[tokio::test]
async fn an_idempotency_key_makes_one_session_also_of_calls_at_once() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (client, key) = (client()?, [("Idempotency-Key", "job-7")]);
    let body = json!({ "keepAlive": true });
    let calls = [
        scene.create(&client, &key, &body),
        scene.create(&client, &key, &body),
        scene.create(&client, &key, &body),
    ];
    let answers = futures_util::future::try_join_all(calls).await?;
    for (status, _, session) in &answers {
        assert_eq!(
            (*status, &session["status"]),
            (201, &json!("RUNNING")),
            "{session}"
        );
        assert_eq!(session["id"], answers[0].2["id"]);
    }
    let (status, headers, refusal) = scene
        .create(&client, &key, &json!({ "keepAlive": false }))
        .await?;
    assert_eq!(
        (status, &headers["x-should-retry"]),
        (409, &"false".parse()?),
        "{refusal}"
    );
    assert!(
        refusal["message"]
            .as_str()
            .is_some_and(|message| message.contains("Idempotency-Key"))
    );
    let (.., other) = scene
        .create(&client, &[("Idempotency-Key", "job-8")], &body)
        .await?;
    assert_ne!(other["id"], answers[0].2["id"]);
    assert_eq!(scene.sessions().await?, 2);
    let metrics = scene.wharf.call(reqwest::Method::GET, "/metrics", None).await?;
    let metrics = metrics.body.as_str().unwrap_or_default().to_owned();
    assert!(
        metrics.contains("\nwharf_creates_repeated_total 2\n"),
        "{metrics}"
    );
    scene.close().await
}

/// Broken before the first byte of the answer, in its head, and in its body.
#[tokio::test]
async fn the_retry_of_a_lost_answer_gets_the_session_of_the_first_try() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    for (number, bytes) in [0, 1, 100, 700].into_iter().enumerate() {
        let body = json!({ "userMetadata": { "create": number } });
        scene.lose(&body.to_string(), bytes).await?;
        sleep(CLIENTS_PAUSE).await;
        let (status, _, session) = scene
            .create(&client()?, &[("x-stainless-retry-count", "1")], &body)
            .await?;
        assert_eq!(status, 201, "{session}");
        assert_eq!(
            scene.sessions().await?,
            number + 1,
            "after {bytes} bytes: {session}"
        );
    }
    scene.close().await
}

#[tokio::test]
async fn two_intended_creates_stay_two() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let (client, body) = (client()?, json!({}));
    let first_try = [("x-stainless-retry-count", "0")];
    let (_, _, first) = scene.create(&client, &first_try, &body).await?;
    let (_, _, second) = scene.create(&client, &first_try, &body).await?;
    assert_ne!(first["id"], second["id"]);
    // Somebody else's retry, whose own first call never arrived: the others' answers were delivered.
    sleep(CLIENTS_PAUSE).await;
    let (_, _, third) = scene
        .create(&client, &[("x-stainless-retry-count", "1")], &body)
        .await?;
    assert!(third["id"] != first["id"] && third["id"] != second["id"]);
    assert_eq!(scene.sessions().await?, 3);
    scene.close().await
}
