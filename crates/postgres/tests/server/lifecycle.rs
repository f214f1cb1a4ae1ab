//! A server's life, from the first start to the last stop.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use sqlx::Connection;
use wharf_postgres::{StartError, start};

use crate::support::{connect, folder, options, processes_of, setting, started};

/// Makes a row in one life of the server and reads it in the next.
async fn keeps_its_data(data_dir: &Path) {
    let server = started(data_dir).await;
    let mut connection = connect(&server).await;
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS number")
        .execute(&mut connection)
        .await
        .unwrap();
    // Still open: a fast shutdown does not wait for clients.
    server.stop().await.unwrap();
    assert_eq!(processes_of(data_dir), [0; 0]);

    let server = started(data_dir).await;
    let mut connection = connect(&server).await;
    let number: i32 = sqlx::query_scalar("SELECT number FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(number, 42);
    server.stop().await.unwrap();
    assert_eq!(processes_of(data_dir), [0; 0]);
}

#[tokio::test]
async fn data_outlives_a_stop() {
    let (_folder, data_dir) = folder();
    keeps_its_data(&data_dir).await;
}

#[tokio::test]
async fn the_folders_path_may_be_longer_than_a_socket_address() {
    let (folder, _) = folder();
    let parent = folder.path().join("long".repeat(30)).join("longer".repeat(20));
    fs::create_dir_all(&parent).unwrap();
    keeps_its_data(&parent.join("postgres")).await;
}

#[tokio::test]
async fn another_process_may_connect_to_a_long_path() {
    let (folder, _) = folder();
    let data_dir = folder.path().join("long".repeat(30)).join("postgres");
    let server = started(&data_dir).await;
    assert!(server.url().contains("host=%2Fproc%2F"), "{}", server.url());
    let psql = tokio::process::Command::new("psql")
        .args([&server.url(), "-Atc", "SELECT 42"])
        .output()
        .await;
    let output = psql.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "42\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_folder_may_lie_below_one_that_the_servers_account_cannot_enter() {
    let (folder, _) = folder();
    let private = folder.path().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    keeps_its_data(&private.join("clone/data/postgres")).await;
}

/// Run by root, this runs itself once more as `nobody`; run by anybody else, it is that second run.
#[tokio::test]
async fn an_ordinary_user_runs_a_server() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        let (_folder, data_dir) = folder();
        return keeps_its_data(&data_dir).await;
    }
    // The test binary may lie where nobody may not go.
    let home = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let program = home.path().join("test");
    let copy = tokio::process::Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copy.await.unwrap().success());
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();

    let mut command = std::process::Command::new(program);
    command
        .args(["--exact", "lifecycle::an_ordinary_user_runs_a_server"])
        .env("TMPDIR", &data)
        .current_dir(&data);
    command.uid(NOBODY).gid(NOBODY);
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn there_is_no_port_and_no_way_in_for_others() {
    let (_folder, data_dir) = folder();
    let server = started(&data_dir).await;
    let mut connection = connect(&server).await;
    assert_eq!(setting(&mut connection, "listen_addresses").await, "");
    let owner = fs::metadata(format!("/proc/{}", server.pid())).unwrap().uid();
    for path in [data_dir.clone(), data_dir.join(".s.PGSQL.5432")] {
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            (metadata.mode() & 0o777, metadata.uid()),
            (0o700, owner),
            "{}",
            path.display()
        );
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_has_no_rights_and_nothing_of_our_environment() {
    let (_folder, data_dir) = folder();
    let server = started(&data_dir).await;
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert!(
        field("Uid:").split_whitespace().all(|uid| uid != "0"),
        "{}",
        field("Uid:")
    );
    assert_eq!(field("Groups:"), "");

    let mut connection = connect(&server).await;
    let seen: Vec<u8> = fs::read(format!("/proc/{}/environ", server.pid())).unwrap();
    let names = seen
        .split(|byte| *byte == 0)
        .filter_map(|pair| pair.split(|byte| *byte == b'=').next());
    let mut names: Vec<_> = names
        .filter(|name| !name.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    names.sort();
    assert_eq!(names, ["HOME", "LC_ALL", "PATH", "TZ"]);
    assert_eq!(setting(&mut connection, "server_encoding").await, "UTF8");
    assert_eq!(setting(&mut connection, "TimeZone").await, "UTC");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_start_names_the_first() {
    let (_folder, data_dir) = folder();
    let server = started(&data_dir).await;
    let error = start(options(&data_dir)).await.unwrap_err();
    let (ours, its) = (std::process::id().to_string(), server.pid());
    assert!(
        matches!(&error, StartError::InUse { holder, postmaster, .. } if *holder == ours && *postmaster == Some(its)),
        "{error}"
    );
    assert!(error.to_string().contains(&its.to_string()), "{error}");
    // The refused start has not disturbed it.
    connect(&server).await.ping().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_ends_and_the_next_start_waits_for_that() {
    let (_folder, data_dir) = folder();
    let server = started(&data_dir).await;
    let first = server.pid();
    drop(server);
    let server = started(&data_dir).await;
    assert_ne!(server.pid(), first);
    assert!(!processes_of(&data_dir).contains(&first));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_url_for_any_name_reaches_its_database() {
    let (_folder, data_dir) = folder();
    let server = started(&data_dir).await;
    let mut connection = connect(&server).await;
    for statement in [
        r#"CREATE ROLE "a/b?c" LOGIN"#,
        r#"CREATE DATABASE "tests & ünits""#,
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    let url = server.url_for("tests & ünits", "a/b?c");
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let names: (String, String) = sqlx::query_as("SELECT current_database(), current_user::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(names, ("tests & ünits".to_owned(), "a/b?c".to_owned()));
    server.stop().await.unwrap();
}
