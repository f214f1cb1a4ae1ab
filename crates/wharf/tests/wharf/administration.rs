//! The administrator's commands.

use std::process::Output;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use wharf_testkit::{TestDatabase, Wharf};

use crate::WHARF;

/// How long a revoked key may still be believed.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

async fn wharf_command(database: &TestDatabase, arguments: &[&str]) -> anyhow::Result<Output> {
    Ok(Command::new(WHARF)
        .args(arguments)
        .args(["--database-url", database.url()])
        .output()
        .await?)
}

/// The cells of the first row below the heading.
fn first_row(output: &Output) -> Vec<String> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let wharf = Wharf::up(WHARF, &["--database-url", database.url()]).await?;
    let project =
        first_row(&wharf_command(&database, &["project", "create", "acme", "--concurrency", "1"]).await?)[0]
            .clone();
    let row = first_row(
        &wharf_command(
            &database,
            &["key", "create", "--project", &project, "--name", "ci"],
        )
        .await?,
    );
    let (id, key) = (&row[0], &row[1]);
    let listed = wharf
        .call_as(Some(key), Method::GET, "/v1/projects", None)
        .await?;
    assert_eq!((listed.status, &listed.body[0]["name"]), (200, &json!("acme")));
    assert_eq!(listed.body[0]["concurrency"], 1);

    let keys = wharf_command(&database, &["key", "list", "--project", &project]).await?;
    assert!(
        !String::from_utf8_lossy(&keys.stdout).contains(key.as_str()),
        "a key is shown once"
    );
    assert_eq!(first_row(&keys)[1], format!("…{}", &key[key.len() - 4..]));

    assert!(
        wharf_command(&database, &["key", "revoke", "--project", &project, id])
            .await?
            .status
            .success()
    );
    let revoked = Instant::now();
    while wharf
        .call_as(Some(key), Method::GET, "/v1/projects", None)
        .await?
        .status
        != 401
    {
        assert!(
            revoked.elapsed() < REVOKED_WITHIN,
            "the key is believed for too long"
        );
        // The moment at which it is refused is what is measured: there is no event to wait for.
        sleep(Duration::from_millis(50)).await;
    }
    wharf.stop().await?;
    database.close().await
}

#[tokio::test]
async fn a_command_that_cannot_be_done_says_why() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    for (arguments, message) in [
        (
            vec!["project", "create", "zero", "--concurrency", "0"],
            "concurrency must be between 1 and 1000000",
        ),
        (
            vec!["project", "create", " "],
            "a project's name has 1 to 128 characters",
        ),
        (
            vec![
                "key",
                "create",
                "--project",
                "01890a5d-ac96-774b-bcce-b302099a8057",
            ],
            "Project 01890a5d-ac96-774b-bcce-b302099a8057 not found",
        ),
        (vec!["key", "list", "--project", "acme"], "must be a UUID"),
    ] {
        let output = wharf_command(&database, &arguments).await?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains(message),
            "{arguments:?}: {told}"
        );
    }
    assert!(
        wharf_command(&database, &["project", "create", "twice"])
            .await?
            .status
            .success()
    );
    let output = wharf_command(&database, &["project", "create", "twice"]).await?;
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is a project named \"twice\" already"));
    database.close().await
}
