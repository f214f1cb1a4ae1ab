//! What the tests share: a folder, quick servers, and a look at the machine's processes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use wharf_postgres::{Durability, Options, Server, find_binaries, start};

pub fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("postgres");
    (folder, data_dir)
}

/// Not durable, and small.
pub fn options(data_dir: &Path) -> Options {
    Options {
        durability: Durability::Throwaway,
        settings: vec![("shared_buffers".to_owned(), "8MB".to_owned())],
        ..Options::new(data_dir, find_binaries(None).unwrap())
    }
}

pub async fn started(data_dir: &Path) -> Server {
    start(options(data_dir)).await.unwrap()
}

pub async fn connect(server: &Server) -> PgConnection {
    PgConnection::connect(&server.url()).await.unwrap()
}

pub async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)")
        .bind(name)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// The processes that work in the folder, which every server process does.
pub fn processes_of(data_dir: &Path) -> Vec<i32> {
    let folder = fs::metadata(data_dir).unwrap();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::metadata(format!("/proc/{pid}/cwd"))
                .is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (folder.dev(), folder.ino()))
        })
        .collect()
}
