//! A fleet: roles as processes of their own, on one Postgres.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;
use wharf_testkit::{Addresses, Cdp, Fleet, FleetOptions, FleetWorker, Wharf};

use crate::{WHARF, processes};

fn worker() -> FleetWorker {
    FleetWorker {
        slots: 2,
        browser: None,
        arguments: Vec::new(),
    }
}

async fn fleet(apis: usize, workers: usize) -> anyhow::Result<Fleet> {
    let addresses = Addresses::reserve(apis, 1, workers)?;
    let routes = addresses.direct();
    let options = FleetOptions {
        binary: PathBuf::from(WHARF),
        workers: vec![worker(); workers],
        api_arguments: Vec::new(),
    };
    Fleet::start(options, addresses, &routes).await
}

#[tokio::test]
async fn a_chromium_session_crosses_every_role() -> anyhow::Result<()> {
    let fleet = fleet(2, 2).await?;
    let tenant = fleet.tenant("acme", 5, 100).await?;
    let (first, second) = (fleet.client(0, &tenant)?, fleet.client(1, &tenant)?);

    let created = first
        .call(Method::POST, "/v1/sessions", Some(&json!({ "keepAlive": true })))
        .await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let connect_url = created.text("connectUrl");
    let gateway = format!("ws://{}/", fleet.gateways[0].address());
    assert!(connect_url.starts_with(&gateway), "{connect_url}");
    let mut client = Cdp::connect(connect_url).await?;
    assert_eq!(client.count_up().await?, 1);
    client.close().await?;
    let mut again = Cdp::connect(connect_url).await?;
    assert_eq!(again.count_up().await?, 2, "the browser is another one");

    let id = created.text("id");
    let listed = second
        .call(Method::GET, "/v1/sessions?status=RUNNING", None)
        .await?;
    assert_eq!(listed.body[0]["id"], id, "{}", listed.body);
    let key = tenant.key.expose();
    let old_style = format!("{gateway}?apiKey={key}&sessionId={id}");
    assert_eq!(Cdp::connect(&old_style).await?.count_up().await?, 3);

    let path = format!("/v1/sessions/{id}");
    let released = second
        .call(Method::POST, &path, Some(&json!({ "status": "REQUEST_RELEASE" })))
        .await?;
    assert_eq!(released.status, 200, "{}", released.body);
    again.ended().await;
    let session = first.call(Method::GET, &path, None).await?;
    assert_eq!(session.text("status"), "COMPLETED");
    fleet.stop().await
}

#[tokio::test]
async fn each_role_ends_in_order_with_a_chromium_session_live() -> anyhow::Result<()> {
    let mut fleet = fleet(1, 1).await?;
    let tenant = fleet.tenant("acme", 5, 100).await?;
    let client = fleet.client(0, &tenant)?;
    let (body, release) = (
        json!({ "keepAlive": true }),
        json!({ "status": "REQUEST_RELEASE" }),
    );
    let created = client.call(Method::POST, "/v1/sessions", Some(&body)).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let mut connected = Cdp::connect(created.text("connectUrl")).await?;
    connected.count_up().await?;

    // A gateway that stops cuts its clients, not their sessions.
    assert!(fleet.gateways[0].stop().await?.success());
    connected.ended().await;
    fleet.gateways[0].start().await?;
    let mut again = Cdp::connect(created.text("connectUrl")).await?;
    assert_eq!(again.count_up().await?, 2);

    // An api that stops is not missed by a session.
    assert!(fleet.apis[0].stop().await?.success());
    assert_eq!(again.count_up().await?, 3);
    fleet.apis[0].start().await?;

    let family = processes::descendants(fleet.workers[0].pid().expect("it runs"));
    assert!(!family.is_empty(), "a browser is a process of the worker's");
    // A worker that is told to stop takes no more sessions, and waits for those it has.
    let path = format!("/v1/sessions/{}", created.text("id"));
    let stopped = fleet.workers[0].stop();
    let released = async {
        loop {
            let refused = client.call(Method::POST, "/v1/sessions", None).await?;
            if refused.status == 503 {
                break;
            }
            // The stop is not known everywhere yet.
            let path = format!("/v1/sessions/{}", refused.text("id"));
            client.call(Method::POST, &path, Some(&release)).await?;
        }
        assert_eq!(again.count_up().await?, 4);
        client.call(Method::POST, &path, Some(&release)).await
    };
    let (stopped, released) = tokio::join!(stopped, released);
    assert!(stopped?.success());
    assert_eq!(released?.text("status"), "COMPLETED");
    assert!(
        processes::all_end(&family, Duration::ZERO).await,
        "a stopped worker leaves no process"
    );
    fleet.stop().await
}

/// Runs a command that is to refuse, and returns its one message.
async fn refusal(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(WHARF)
        .args(arguments)
        .env_remove("DATABASE_URL")
        .kill_on_drop(true)
        .output()
        .await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?} did not refuse: {told}");
    Ok(told)
}

#[tokio::test]
async fn a_role_that_cannot_start_says_what_to_do() -> anyhow::Result<()> {
    let mut fleet = fleet(1, 0).await?;
    let keys = fleet.folder().join("keys");
    let (signing, verifying) = (keys.join("signing.key"), keys.join("verifying.key"));
    let (signing, verifying) = (
        signing.to_str().expect("UTF-8"),
        verifying.to_str().expect("UTF-8"),
    );
    let database = fleet.postgres.url().to_owned();
    let api = |key: &str, database: &str| {
        [
            "api",
            "--listen",
            "127.0.0.1:0",
            "--signing-key",
            key,
            "--database-url",
            database,
        ]
        .map(str::to_owned)
    };
    let bare = fleet.postgres.superuser_url().replace("/wharf?", "/postgres?");
    for (arguments, expected) in [
        (api("/nonexistent/signing.key", &database), "wharf key-pair"),
        (api(verifying, &database), "public half"),
        (api(signing, &bare), "run `wharf migrate`"),
        (
            api(signing, "postgres://nobody@127.0.0.1:1/x"),
            "does Postgres run?",
        ),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let told = refusal(&arguments).await?;
        assert!(told.contains(expected), "{told}");
    }

    let base = format!("http://{}", fleet.apis[0].address());
    let gateway = [
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--api",
        &base,
        "--verifying-key",
        signing,
    ];
    let told = refusal(&gateway).await?;
    assert!(
        told.contains("private half") && told.contains("verifying.key"),
        "{told}"
    );

    let (data_dir, credential) = (
        fleet.folder().join("stranger"),
        fleet.folder().join("stranger.credential"),
    );
    let (data_dir, credential) = (
        data_dir.to_str().expect("UTF-8"),
        credential.to_str().expect("UTF-8"),
    );
    let worker = [
        "worker",
        "--listen",
        "127.0.0.1:0",
        "--control",
        &base,
        "--verifying-key",
        verifying,
        "--data-dir",
        data_dir,
    ];
    assert!(refusal(&worker).await?.contains("wharf worker enroll NAME"));
    let with_credential = [&worker[..], &["--credential-file", credential]].concat();
    assert!(refusal(&with_credential).await?.contains("is not there"));
    fleet
        .command(&["worker", "enroll", "stranger", "--credential-file", credential])
        .await?;
    // Enrolled once more: the first credential is worth nothing.
    let shown = fleet.command(&["worker", "enroll", "stranger"]).await?;
    assert!(shown.contains("wharf_worker_"), "{shown}");
    let told = refusal(&with_credential).await?;
    assert!(told.contains("does not know this worker's credential"), "{told}");
    assert!(fleet.apis[0].ended()?.is_none(), "the api is disturbed");
    fleet.stop().await
}

#[tokio::test]
async fn a_drained_worker_finishes_its_chromium_session_and_gets_no_more() -> anyhow::Result<()> {
    let fleet = fleet(1, 1).await?;
    let tenant = fleet.tenant("acme", 5, 100).await?;
    let client = fleet.client(0, &tenant)?;
    let created = client.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let told = fleet
        .command(&["worker", "drain", "worker-0", "--no-wait"])
        .await?;
    assert!(told.contains("draining"), "{told}");
    let listed = fleet.command(&["worker", "list"]).await?;
    assert!(
        listed.contains("1 of 2") && listed.contains("draining"),
        "{listed}"
    );
    let refused = client.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(refused.status, 503, "{}", refused.body);

    let mut connected = Cdp::connect(created.text("connectUrl")).await?;
    assert_eq!(connected.count_up().await?, 1, "a drain is felt by who is there");
    let waits = fleet.command(&["worker", "drain", "worker-0"]);
    let leaves = async {
        connected.close().await?;
        anyhow::Ok(())
    };
    let (told, left) = tokio::join!(waits, leaves);
    left?;
    assert!(told?.contains("draining"));

    fleet.command(&["worker", "drain", "worker-0", "--undo"]).await?;
    let again = client.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(again.status, 201, "{}", again.body);
    let path = format!("/v1/sessions/{}", again.text("id"));
    let release = json!({ "status": "REQUEST_RELEASE" });
    client.call(Method::POST, &path, Some(&release)).await?;
    let told = refusal(&[
        "worker",
        "drain",
        "nobody",
        "--database-url",
        fleet.postgres.url(),
    ])
    .await?;
    assert!(told.contains("wharf worker list"), "{told}");
    fleet.stop().await
}

#[tokio::test]
async fn a_further_worker_joins_an_up_and_its_chromium_is_reached() -> anyhow::Result<()> {
    let up = Wharf::up(WHARF, &["--slots", "1"]).await?;
    let file = |name: &str| up.data_dir().join(name).into_os_string();
    let enroll = Command::new(WHARF)
        .args(["worker", "enroll", "further", "--credential-file"])
        .arg(file("further.credential"))
        .arg("--data-dir")
        .arg(up.data_dir())
        .output()
        .await?;
    assert!(
        enroll.status.success(),
        "{}",
        String::from_utf8_lossy(&enroll.stderr)
    );
    let mut worker = Command::new(WHARF)
        .args([
            "worker",
            "--listen",
            "127.0.0.1:0",
            "--slots",
            "1",
            "--control",
            up.base_url(),
        ])
        .arg("--verifying-key")
        .arg(file("verifying.key"))
        .arg("--credential-file")
        .arg(file("further.credential"))
        .arg("--data-dir")
        .arg(file("further"))
        .kill_on_drop(true)
        .spawn()?;
    // The second waits until the further worker has registered.
    for _ in 0..2 {
        let body = json!({ "keepAlive": true });
        let created = up.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        assert_eq!(created.status, 201, "{}", created.body);
        let mut client = Cdp::connect(created.text("connectUrl")).await?;
        assert_eq!(client.count_up().await?, 1);
    }
    worker.start_kill()?;
    worker.wait().await?;
    assert!(up.stop().await?.success());
    Ok(())
}
