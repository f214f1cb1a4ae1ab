//! `wharf up` on its own Postgres: start, restart, `kill -9`, and who may not start.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;
use wharf_testkit::{TestDatabase, Wharf, projects_seen_without_a_role};

use crate::{WHARF, processes};

#[tokio::test]
async fn key_project_and_sessions_survive_a_restart() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().join("data");
    let first = Wharf::up_on(WHARF, &data_dir, &[]).await?;
    let (key, project) = (first.api_key().to_owned(), first.project_id().to_owned());
    let env = data_dir.join("env");
    assert_eq!(
        std::fs::metadata(&env)?.permissions().mode() & 0o777,
        0o600,
        "the file holds a key"
    );
    let url = std::fs::read_to_string(data_dir.join("database-url"))?;
    assert_eq!(
        projects_seen_without_a_role(&url).await?,
        0,
        "our own Postgres is used by one who bypasses the walls"
    );
    let created = first.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let family = processes::descendants(first.pid());
    assert!(
        family.len() > 5,
        "a browser and Postgres are several processes: {family:?}"
    );
    let status = first.stop().await?;
    assert!(status.success(), "{status}");
    assert!(!env.exists(), "the file speaks of a service that is gone");
    assert!(
        processes::all_end(&family, Duration::ZERO).await,
        "a stopped service leaves no process"
    );
    assert_eq!(processes::naming(&data_dir), Vec::<u32>::new());
    assert_eq!(
        std::fs::read_dir(data_dir.join("browsers"))?.count(),
        0,
        "a profile is left"
    );

    let second = Wharf::up_on(WHARF, &data_dir, &[]).await?;
    assert_eq!(
        (second.api_key(), second.project_id()),
        (key.as_str(), project.as_str())
    );
    let path = format!("/v1/sessions/{}", created.body["id"].as_str().expect("an id"));
    let session = second.call(Method::GET, &path, None).await?;
    assert_eq!(session.body["status"], "ERROR", "{}", session.body);
    assert_eq!(session.body["endReason"], "killed");
    assert!(
        session.body.get("connectUrl").is_none(),
        "nobody can connect to an ended session"
    );
    assert!(second.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn after_kill_9_nothing_is_left_and_nothing_is_lost() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().join("data");
    let first = Wharf::up_on(WHARF, &data_dir, &[]).await?;
    let created = first
        .call(Method::POST, "/v1/sessions", Some(&json!({ "keepAlive": true })))
        .await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let family = processes::descendants(first.pid());
    first.kill().await?;
    assert!(
        processes::all_end(&family, Duration::from_secs(2)).await,
        "processes outlive their parent: {family:?}"
    );

    let second = Wharf::up_on(WHARF, &data_dir, &[]).await?;
    let path = format!("/v1/sessions/{}", created.body["id"].as_str().expect("an id"));
    let session = second.call(Method::GET, &path, None).await?;
    assert_eq!(session.body["status"], "ERROR", "{}", session.body);
    assert_eq!(session.body["endReason"], "worker_lost");
    let again = second.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(again.status, 201, "{}", again.body);
    assert!(second.stop().await?.success());
    Ok(())
}

/// Runs `wharf up`, which is to refuse, and returns what it says.
async fn refusal(data_dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(WHARF)
        .args(["up", "--data-dir"])
        .arg(data_dir)
        .args(arguments)
        .env_remove("DATABASE_URL")
        .kill_on_drop(true)
        .output()
        .await?;
    assert!(!output.status.success());
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_second_up_says_who_was_first() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().join("data");
    let first = Wharf::up_on(WHARF, &data_dir, &[]).await?;
    let told = refusal(&data_dir, &["--listen", "127.0.0.1:0"]).await?;
    assert!(
        told.contains(&format!("held by process {}", first.pid())) && told.contains(first.base_url()),
        "{told}"
    );

    let address = first.base_url().trim_start_matches("http://");
    let told = refusal(&folder.path().join("other"), &["--listen", address]).await?;
    assert!(
        told.contains("is taken by another program") && told.contains("--listen"),
        "{told}"
    );
    assert!(
        first.call(Method::GET, "/readyz", None).await?.status == 200,
        "the first one is disturbed"
    );
    assert!(first.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_to_install() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let told = refusal(folder.path(), &["--chromium", "/nonexistent/chromium"]).await?;
    assert!(
        told.contains("/nonexistent/chromium is not an executable file") && told.contains("--chromium PATH"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "one message: {told}");
    let told = refusal(
        folder.path(),
        &[
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            "postgres://nobody@127.0.0.1:1/x",
        ],
    )
    .await?;
    assert!(told.contains("the database cannot be opened"), "{told}");
    Ok(())
}

#[tokio::test]
async fn two_ups_on_one_database_do_not_both_go_on() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let mut first = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let second = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let status = first.ended().await?;
    assert!(
        !status.success(),
        "the first one serves sessions of a worker that is no longer its own"
    );
    let created = second.call(Method::POST, "/v1/sessions", None).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    assert!(second.stop().await?.success());
    database.close().await
}
