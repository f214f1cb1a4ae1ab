use std::os::unix::fs::symlink;
use std::path::Path;

use tokio::process::{Child, Command};

use super::*;
use crate::cluster::open_folder;

const LONG: Duration = Duration::from_secs(30);

/// A process that looks like the folder's server: its name, and the folder it works in.
fn looks_like_a_server(folder: &Path) -> Child {
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("postgres");
    symlink("/bin/sleep", &program).unwrap();
    Command::new(program)
        .arg("600")
        .current_dir(folder)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn note(folder: &Path, process: &Child) -> i32 {
    let pid = process.id().unwrap();
    fs::write(folder.join(PID_FILE), format!("{pid}\n/proc/self/fd/3\n")).unwrap();
    i32::try_from(pid).unwrap()
}

#[tokio::test]
async fn a_folder_without_a_note_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let open = open_folder(folder.path()).unwrap();
    assert_eq!(wait_for_end(&open, LONG).await.unwrap(), Waited::Ended);
}

#[tokio::test]
async fn the_note_of_an_ended_server_is_left_to_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = looks_like_a_server(folder.path());
    note(folder.path(), &server);
    server.kill().await.unwrap();
    let open = open_folder(folder.path()).unwrap();
    assert_eq!(wait_for_end(&open, LONG).await.unwrap(), Waited::Ended);
    assert!(folder.path().join(PID_FILE).exists());
}

#[tokio::test]
async fn a_server_on_its_way_out_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = looks_like_a_server(folder.path());
    note(folder.path(), &server);
    let open = open_folder(folder.path()).unwrap();
    // The wait is polled first, so it sees the server alive.
    let (ended, killed) = tokio::join!(wait_for_end(&open, LONG), server.kill());
    killed.unwrap();
    assert_eq!(ended.unwrap(), Waited::Ended);
    assert!(folder.path().join(PID_FILE).exists(), "taken for a stranger");
}

#[tokio::test]
async fn a_server_that_stays_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = looks_like_a_server(folder.path());
    let noted = note(folder.path(), &server);
    let open = open_folder(folder.path()).unwrap();
    let waited = wait_for_end(&open, Duration::from_millis(1)).await.unwrap();
    assert_eq!(waited, Waited::StillRunning(noted));
}

#[tokio::test]
async fn children_that_outlived_their_server_are_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, child) = (
        looks_like_a_server(folder.path()),
        looks_like_a_server(folder.path()),
    );
    note(folder.path(), &server);
    server.kill().await.unwrap();
    let open = open_folder(folder.path()).unwrap();
    let waited = wait_for_end(&open, Duration::from_millis(1)).await.unwrap();
    assert_eq!(
        waited,
        Waited::StillRunning(i32::try_from(child.id().unwrap()).unwrap())
    );
}

#[tokio::test]
async fn a_server_of_another_folder_is_a_stranger() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = looks_like_a_server(other.path());
    note(folder.path(), &server);
    let open = open_folder(folder.path()).unwrap();
    assert_eq!(wait_for_end(&open, LONG).await.unwrap(), Waited::Ended);
    assert!(!folder.path().join(PID_FILE).exists());
}

#[test]
fn links_of_the_folders_owner_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    symlink("/etc/passwd", folder.path().join("PG_VERSION")).unwrap();
    let open = open_folder(folder.path()).unwrap();
    assert!(read_small(&open, "PG_VERSION").is_err());
    assert_eq!(read_small(&open, "absent").unwrap(), None);
}
