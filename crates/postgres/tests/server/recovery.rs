//! What an interruption at a bad moment leaves, and that the next start copes.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal};
use sqlx::Connection;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;
use wharf_postgres::{Durability, Options, StopError, find_binaries, start};

use crate::support::{connect, folder, options, processes_of, started};

/// Tells the second run of the test below which folder to use.
const FOLDER: &str = "INSERT_UNTIL_KILLED";

fn durable(data_dir: &Path) -> Options {
    Options {
        durability: Durability::Durable,
        ..options(data_dir)
    }
}

/// Four writers, each printing every number once its row is committed.
async fn insert_until_killed(data_dir: &Path) {
    let server = start(durable(data_dir)).await.unwrap();
    let mut connection = connect(&server).await;
    sqlx::query("CREATE TABLE acknowledged (number bigint)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let mut connection = connect(&server).await;
        writers.spawn(async move {
            for number in (writer..).step_by(4) {
                let insert = sqlx::query("INSERT INTO acknowledged VALUES ($1)").bind(number);
                insert.execute(&mut connection).await.unwrap();
                std::io::stdout()
                    .write_all(format!("acknowledged {number}\n").as_bytes())
                    .unwrap();
            }
        });
    }
    writers.join_next().await;
}

/// Runs itself once more as the process to be killed.
#[tokio::test]
async fn killing_us_ends_the_server_and_loses_no_acknowledged_row() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return insert_until_killed(Path::new(&folder)).await;
    }
    let (_folder, data_dir) = folder();
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "recovery::killing_us_ends_the_server_and_loses_no_acknowledged_row",
            "--nocapture",
        ])
        .env(FOLDER, &data_dir)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut acknowledged = HashSet::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        acknowledged.extend(
            line.strip_prefix("acknowledged ")
                .and_then(|number| number.parse::<i64>().ok()),
        );
        if acknowledged.len() == 1000 {
            writer.start_kill().unwrap();
        }
    }
    assert!(
        acknowledged.len() >= 1000,
        "the writer ended early: {:?}",
        writer.wait().await
    );

    let server = start(durable(&data_dir)).await.unwrap();
    let rows: Vec<i64> = sqlx::query_scalar("SELECT number FROM acknowledged")
        .fetch_all(&mut connect(&server).await)
        .await
        .unwrap();
    let rows: HashSet<i64> = rows.into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&rows).collect();
    assert!(lost.is_empty(), "{lost:?}");
    // The kernel's signal let the first server write its checkpoint: this start found nothing to recover.
    let log = fs::read_to_string(server.log()).unwrap();
    assert_eq!(
        log.matches("database system was shut down at").count(),
        2,
        "{log}"
    );
    server.stop().await.unwrap();
    assert_eq!(processes_of(&data_dir), [0; 0]);
}

/// As the kernel does when memory is short.
#[tokio::test]
async fn a_killed_server_recovers_while_its_children_are_still_ending() {
    let (_folder, data_dir) = folder();
    let mut server = start(durable(&data_dir)).await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(connect(&server).await);
    }
    sqlx::query("CREATE TABLE kept AS SELECT 42 AS number")
        .execute(&mut connections[0])
        .await
        .unwrap();
    rustix::process::kill_process(Pid::from_raw(server.pid()).unwrap(), Signal::KILL).unwrap();
    let exit = server.exited().await;
    assert!(exit.to_string().contains("SIGKILL"), "{exit}");
    let error = server.stop().await.unwrap_err();
    assert!(matches!(error, StopError::Unclean { .. }), "{error}");

    let server = start(durable(&data_dir)).await.unwrap();
    let kept: Result<i32, _> = sqlx::query_scalar("SELECT number FROM kept")
        .fetch_one(&mut connect(&server).await)
        .await;
    assert_eq!(kept.unwrap(), 42);
    let log = fs::read_to_string(server.log()).unwrap();
    assert!(log.contains("automatic recovery in progress"), "{log}");
    server.stop().await.unwrap();
}

/// Programs that pass for an installation, with an `initdb` of our own. A shell writes them, since a file that this
/// process had open for writing may still be open in a child that another test forks, and would not run.
async fn with_initdb(folder: &Path, script: &str) -> Options {
    let real = find_binaries(None).unwrap();
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let write = r#"printf '%s\n' "$0" > initdb && chmod 755 initdb && ln -s "$1/postgres" postgres"#;
    let status = Command::new("sh")
        .args(["-c", write, script])
        .arg(real.folder())
        .current_dir(&programs)
        .status()
        .await;
    assert!(status.unwrap().success());
    Options {
        binaries: find_binaries(Some(&programs)).unwrap(),
        ..options(&folder.join("postgres"))
    }
}

fn half_made(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(".postgres.initdb-")
        })
        .count()
}

#[tokio::test]
async fn an_interrupted_initdb_leaves_nothing_under_the_final_name() {
    let (folder, data_dir) = folder();
    // Says that it is half done, and then does not go on.
    let script =
        "#!/bin/sh\necho 15 > \"${1#--pgdata=}/PG_VERSION\"\nread forever < /tmp\nexec tail -f /dev/null";
    let fifo = folder.path().join("half-done");
    assert!(
        Command::new("mkfifo")
            .args(["-m", "666"])
            .arg(&fifo)
            .status()
            .await
            .unwrap()
            .success()
    );
    let script = script.replace("read forever < /tmp", &format!("echo half > {}", fifo.display()));
    let options = with_initdb(folder.path(), &script).await;
    let mut half_done = tokio::net::unix::pipe::OpenOptions::new()
        .read_write(true)
        .open_receiver(&fifo)
        .unwrap();

    let mut word = [0; 4];
    tokio::select! {
        result = start(options) => panic!("{result:?}"),
        word = half_done.read_exact(&mut word) => assert_eq!(word.unwrap(), 4),
    }
    assert!(!data_dir.exists());
    let server = started(&data_dir).await;
    server.stop().await.unwrap();
    assert_eq!(half_made(folder.path()), 0);
}

#[tokio::test]
async fn what_a_killed_initdb_left_is_removed() {
    let (folder, data_dir) = folder();
    let left = folder.path().join(".postgres.initdb-left");
    fs::create_dir_all(left.join("base/1")).unwrap();
    fs::write(left.join("PG_VERSION"), "15\n").unwrap();
    let server = started(&data_dir).await;
    assert_eq!(half_made(folder.path()), 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_system_without_the_unicode_locale_gets_the_plain_one() {
    let (folder, _) = folder();
    let real = find_binaries(None).unwrap().folder().join("initdb");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--locale=C.UTF-8*) set -- --pgdata=/nowhere --locale=xx_XX.UTF-8;; esac\n\
         exec {} \"$@\"",
        real.display()
    );
    let server = start(with_initdb(folder.path(), &script).await).await.unwrap();
    let locale: String = sqlx::query_scalar("SELECT datcollate FROM pg_database WHERE datname = 'postgres'")
        .fetch_one(&mut connect(&server).await)
        .await
        .unwrap();
    assert_eq!(locale, "C");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_failing_initdb_is_quoted_and_its_log_named() {
    let (folder, _) = folder();
    let script = "#!/bin/sh\necho 'could not write: No space left on device' >&2\nexit 3";
    let message = start(with_initdb(folder.path(), script).await)
        .await
        .unwrap_err()
        .to_string();
    assert!(message.contains("No space left on device"), "{message}");
    assert!(message.contains("exit status: 3"), "{message}");
    assert!(message.contains("postgres.log"), "{message}");
    assert_eq!(half_made(folder.path()), 0);
}

/// After a power cut the pid in the folder may belong to anybody, and PostgreSQL takes one of its own account for
/// a live server.
#[tokio::test]
async fn a_stale_note_with_a_strangers_pid_does_not_stop_the_start() {
    let (_folder, data_dir) = folder();
    started(&data_dir).await.stop().await.unwrap();
    let mut stranger = Command::new("sleep");
    let stranger = stranger
        .arg("600")
        .uid(fs::metadata(&data_dir).unwrap().uid())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let note = format!(
        "{}\n/proc/self/fd/3\n1\n5432\n.\n\n  1  1\nready\n",
        stranger.id().unwrap()
    );
    fs::write(data_dir.join("postmaster.pid"), note).unwrap();

    let server = started(&data_dir).await;
    connect(&server).await.ping().await.unwrap();
    server.stop().await.unwrap();
}
