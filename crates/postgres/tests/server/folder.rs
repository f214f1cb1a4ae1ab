//! Folders that are not ours to start on, and what the error says.

use std::fs;
use std::os::unix::fs::chown;
use std::time::Duration;

use wharf_postgres::{Options, StartError, start};

use crate::support::{connect, folder, options, setting, started};

#[tokio::test]
async fn a_cluster_of_another_version_names_it() {
    let (_folder, data_dir) = folder();
    started(&data_dir).await.stop().await.unwrap();
    fs::write(data_dir.join("PG_VERSION"), "99\n").unwrap();
    let error = start(options(&data_dir)).await.unwrap_err();
    assert!(
        matches!(error, StartError::VersionMissing { needed: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("apt install postgresql-99"), "{error}");
}

#[tokio::test]
async fn files_that_are_no_cluster_are_left_alone() {
    let (_folder, data_dir) = folder();
    fs::create_dir(&data_dir).unwrap();
    fs::write(data_dir.join("letter.txt"), "mine").unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&data_dir, Some(65534), Some(65534)).unwrap();
    }
    let error = start(options(&data_dir)).await.unwrap_err();
    assert!(
        matches!(
            error,
            StartError::NotACluster {
                missing: "PG_VERSION",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(fs::read_to_string(data_dir.join("letter.txt")).unwrap(), "mine");
}

#[tokio::test]
async fn a_cluster_without_its_control_file_is_left_alone() {
    let (_folder, data_dir) = folder();
    started(&data_dir).await.stop().await.unwrap();
    fs::remove_file(data_dir.join("global/pg_control")).unwrap();
    let error = start(options(&data_dir)).await.unwrap_err();
    assert!(
        matches!(
            error,
            StartError::NotACluster {
                missing: "global/pg_control",
                ..
            }
        ),
        "{error}"
    );
    assert!(data_dir.join("PG_VERSION").exists());
}

#[tokio::test]
async fn an_empty_folder_made_by_the_operator_is_used() {
    let (_folder, data_dir) = folder();
    fs::create_dir(&data_dir).unwrap();
    started(&data_dir).await.stop().await.unwrap();
    assert!(data_dir.join("PG_VERSION").exists());
}

#[tokio::test]
async fn a_link_leads_to_the_real_folder() {
    let (folder, data_dir) = folder();
    let disk = folder.path().join("disk/cluster");
    fs::create_dir_all(&disk).unwrap();
    std::os::unix::fs::symlink(&disk, &data_dir).unwrap();
    let server = started(&data_dir).await;
    assert!(disk.join("PG_VERSION").exists());
    assert!(data_dir.is_symlink());
    assert_eq!(
        server.log(),
        folder.path().canonicalize().unwrap().join("disk/cluster.log")
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_setting_the_server_does_not_know_is_quoted() {
    let (_folder, data_dir) = folder();
    let mut options = options(&data_dir);
    options
        .settings
        .push(("no_such_setting".to_owned(), "1".to_owned()));
    let message = start(options).await.unwrap_err().to_string();
    assert!(
        message.contains("unrecognized configuration parameter \"no_such_setting\""),
        "{message}"
    );
    assert!(message.contains("postgres.log"), "{message}");
}

#[tokio::test]
async fn the_callers_settings_are_used() {
    let (_folder, data_dir) = folder();
    let server = start(Options {
        max_connections: 17,
        ..options(&data_dir)
    })
    .await
    .unwrap();
    let mut connection = connect(&server).await;
    assert_eq!(setting(&mut connection, "max_connections").await, "17");
    assert_eq!(setting(&mut connection, "shared_buffers").await, "8MB");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_deadline_that_passes_ends_the_attempt() {
    let (_folder, data_dir) = folder();
    let hasty = Options {
        start_deadline: Duration::from_millis(1),
        ..options(&data_dir)
    };
    let error = start(hasty).await.unwrap_err();
    assert!(
        matches!(
            error,
            StartError::Deadline {
                program: "initdb",
                ..
            }
        ),
        "{error}"
    );
    started(&data_dir).await.stop().await.unwrap();
}
