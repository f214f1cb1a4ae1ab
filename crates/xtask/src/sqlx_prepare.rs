//! Keeps the committed `.sqlx` in step with the queries and the migrations, without sqlx's own command line tool.
//!
//! The query macros ask a live database when `SQLX_OFFLINE` is false and `DATABASE_URL` is set, and write one file
//! per query into `SQLX_OFFLINE_DIR`. So we migrate a throwaway database and have the macros expanded once more.
//! Queries in tests are not covered: a test asks the store, or uses `sqlx::query` without checking.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use tokio::signal::unix::{SignalKind, signal};

use crate::database::Database;
use crate::workspace::{self, cargo};

const CACHE: &str = ".sqlx";
const STORE: &str = "crates/store/src/lib.rs";

/// File name to contents.
type Queries = BTreeMap<String, Vec<u8>>;

/// Writes `.sqlx`, or with `check` compares it.
pub async fn run(check: bool) -> Result<()> {
    // A Ctrl-C ends the compiler, which is in our process group; we stay to see that and to clean up.
    let _held = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // The server runs as another account when we are root, so this cannot lie in a home folder.
    let scratch = std::env::temp_dir().join(format!("wharf-sqlx-{}", std::process::id()));
    fs::create_dir(&scratch).with_context(|| format!("making {}", scratch.display()))?;
    let outcome = describe(&scratch).await;
    fs::remove_dir_all(&scratch).with_context(|| format!("removing {}", scratch.display()))?;
    let current = outcome?;

    let folder = workspace::root().join(CACHE);
    let differences = differences(&read(&folder)?, &current);
    if differences.is_empty() {
        println!("sqlx-prepare: {} queries, {CACHE} is current", current.len());
    } else if check {
        bail!(
            "{CACHE} is not what the queries and the migrations say; run `cargo xtask sqlx-prepare` and commit it:\n  {}",
            differences.join("\n  ")
        );
    } else {
        write(&folder, &current)?;
        println!(
            "sqlx-prepare: {} queries, {} files changed",
            current.len(),
            differences.len()
        );
    }
    Ok(())
}

async fn describe(scratch: &Path) -> Result<Queries> {
    let database = Database::given_or_started(&scratch.join("postgres")).await?;
    let described = describe_on(&database, &scratch.join("queries"));
    database.stop().await?;
    described
}

fn describe_on(database: &Database, output: &Path) -> Result<Queries> {
    let name = format!("sqlx_prepare_{}", std::process::id());
    let migrated = database.create(&name)?;
    for migration in workspace::sources()?
        .iter()
        .filter(|source| source.path.starts_with("migrations/"))
    {
        database.apply(&name, &workspace::root().join(&migration.path))?;
    }
    fs::create_dir(output)?;
    expand(&migrated, output)?;
    database.discard(&name)?;
    read(output)
}

/// Compiles the store with live macros. Cargo does not see what a macro read, so the crate's root is made newer for
/// the moment; it gets its time back, or every other build of the store would be stale too. The flag keeps this
/// build's own record of what is fresh apart from theirs.
fn expand(url: &str, output: &Path) -> Result<()> {
    let root = File::options()
        .write(true)
        .open(workspace::root().join(STORE))
        .context(STORE)?;
    let before = root.metadata()?.modified()?;
    root.set_modified(fs::metadata(output)?.modified()?)?;
    let status = cargo([
        "rustc",
        "--quiet",
        "--locked",
        "--package",
        "wharf-store",
        "--lib",
        "--profile",
        "check",
    ])
    .args(["--", "--cfg", "sqlx_prepare"])
    .env("DATABASE_URL", url)
    .env("SQLX_OFFLINE", "false")
    .env("SQLX_OFFLINE_DIR", output)
    .status();
    root.set_modified(before)?;
    let status = status.context("cargo could not be started")?;
    ensure!(
        status.success(),
        "the store does not compile against its own migrations: {status}"
    );
    Ok(())
}

fn read(folder: &Path) -> Result<Queries> {
    let mut queries = Queries::new();
    if !folder.exists() {
        return Ok(queries);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") && name.ends_with(".json") {
            queries.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(queries)
}

fn write(folder: &Path, current: &Queries) -> Result<()> {
    fs::create_dir_all(folder)?;
    for stale in read(folder)?.keys().filter(|name| !current.contains_key(*name)) {
        fs::remove_file(folder.join(stale))?;
    }
    for (name, contents) in current {
        fs::write(folder.join(name), contents)?;
    }
    Ok(())
}

/// One line per file that is missing, not used any more, or different.
fn differences(committed: &Queries, current: &Queries) -> Vec<String> {
    let names: BTreeSet<&String> = committed.keys().chain(current.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| match (committed.get(name), current.get(name)) {
            (None, _) => Some(format!("{name}: missing")),
            (_, None) => Some(format!("{name}: no query uses it")),
            (before, now) => (before != now).then(|| format!("{name}: different")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(entries: &[(&str, &str)]) -> Queries {
        entries
            .iter()
            .map(|(name, text)| (format!("query-{name}.json"), text.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let committed = queries(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let current = queries(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(
            differences(&committed, &current),
            [
                "query-b.json: different",
                "query-c.json: no query uses it",
                "query-d.json: missing"
            ]
        );
    }

    #[test]
    fn writing_removes_what_is_stale_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("README"), "kept").expect("a file");
        write(folder.path(), &queries(&[("a", "1")])).expect("the first");
        let current = queries(&[("b", "2")]);
        write(folder.path(), &current).expect("the second");
        assert_eq!(read(folder.path()).expect("readable"), current);
        assert!(folder.path().join("README").exists());
    }
}
