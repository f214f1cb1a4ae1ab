//! A database for one test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tempfile::TempDir;
use uuid::Uuid;
use wharf_domain::{Entropy, SystemEntropy};
use wharf_postgres::{Durability, Options, Server};
use wharf_store::{Store, StoreOptions};

/// The server of the whole run, as `cargo xtask test` starts it. A test that is run by itself starts its own.
const SHARED_SERVER: &str = "WHARF_TEST_DATABASE_URL";
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");
/// Any number, as long as nothing else locks it.
const TEMPLATE_LOCK: i64 = 0x0057_4841_5246;

/// A database of the test's own, with the migrations applied.
#[derive(Debug)]
pub struct TestDatabase {
    /// The way that the product takes.
    pub store: Store,
    url: String,
    own_server: Option<(Server, TempDir)>,
}

impl TestDatabase {
    /// Makes the database. On a shared server it is a copy of a template, which the first test of the run makes.
    pub async fn new() -> anyhow::Result<Self> {
        let (admin, own_server) = match std::env::var(SHARED_SERVER) {
            Ok(url) => (url, None),
            Err(_) => {
                let folder = tempfile::tempdir()?;
                let mut options = Options::new(
                    folder.path().join("postgres"),
                    wharf_postgres::find_binaries(None)?,
                );
                options.durability = Durability::Throwaway;
                let server = wharf_postgres::start(options).await?;
                (server.url(), Some((server, folder)))
            }
        };
        let mut connection = PgConnection::connect(&admin).await?;
        let template = make_template(&mut connection, &admin).await?;
        let name = format!("wharf_test_{}", unique());
        connection
            .execute(AssertSqlSafe(format!(
                "CREATE DATABASE {name} TEMPLATE {template}"
            )))
            .await?;
        connection.close().await?;
        let url = database_of(&admin, &name);
        let store = Store::connect(&StoreOptions {
            url: url.clone(),
            max_connections: 30,
        })
        .await?;
        Ok(Self {
            store,
            url,
            own_server,
        })
    }

    /// The database's URL, for a process.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Moves every session's deadline into the past, as if whoever should keep it had slept.
    pub async fn overdue_sessions(&self) -> anyhow::Result<()> {
        let superuser = self.superuser().await?;
        sqlx::query("UPDATE sessions SET expires_at = now() - interval '1 minute'")
            .execute(&superuser)
            .await?;
        Ok(())
    }

    /// What the counters of all projects and of all workers add up to.
    pub async fn counters(&self) -> anyhow::Result<(i64, i64)> {
        let superuser = self.superuser().await?;
        let sums =
            "SELECT (SELECT sum(active_sessions) FROM projects), (SELECT sum(used_slots) FROM workers)";
        Ok(sqlx::query_as(sums).fetch_one(&superuser).await?)
    }

    /// A pool of the superuser's, past the store: for looking at rows, and for moving them into the past.
    pub async fn superuser(&self) -> anyhow::Result<PgPool> {
        Ok(PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(5))
            .connect(&self.url)
            .await?)
    }

    /// Stops the server, if it is the test's own.
    pub async fn close(self) -> anyhow::Result<()> {
        self.store.close().await;
        if let Some((server, _folder)) = self.own_server {
            server.stop().await?;
        }
        Ok(())
    }
}

/// How many projects a statement sees that took no role, on the product's own database.
pub async fn projects_seen_without_a_role(url: &str) -> anyhow::Result<i64> {
    let mut connection = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar("SELECT count(*) FROM projects")
        .fetch_one(&mut connection)
        .await?)
}

/// Makes the template under a lock, so that tests that start together make it once; its name.
async fn make_template(connection: &mut PgConnection, admin: &str) -> anyhow::Result<String> {
    let template = template_name();
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await?;
    let present: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&template)
        .fetch_one(&mut *connection)
        .await?;
    if !present {
        // Renamed when whole: a test that is killed here leaves no half template.
        let draft = format!("wharf_test_draft_{}", unique());
        connection
            .execute(AssertSqlSafe(format!("CREATE DATABASE {draft}")))
            .await?;
        let store = Store::connect(&StoreOptions {
            url: database_of(admin, &draft),
            max_connections: 2,
        })
        .await?;
        store.migrate().await?;
        store.close().await;
        connection
            .execute(AssertSqlSafe(format!(
                "ALTER DATABASE {draft} RENAME TO {template}"
            )))
            .await?;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut *connection)
        .await?;
    Ok(template)
}

/// Named by what the migrations are: a server that outlives a change of them gets another template.
fn template_name() -> String {
    let mut hasher = DefaultHasher::new();
    for migration in MIGRATIONS.iter() {
        migration.checksum.hash(&mut hasher);
    }
    format!("wharf_test_template_{:016x}", hasher.finish())
}

fn unique() -> String {
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    Uuid::from_bytes(random).simple().to_string()
}

/// The same server's URL with another database: the part between the last slash of the path and the query.
fn database_of(url: &str, name: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
    format!("{server}/{name}{query}")
}
