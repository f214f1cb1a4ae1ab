//! The pool of connections, and what every connection is set to.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::StoreError;

pub(crate) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// How long a caller waits for a connection. Short: a create that waits longer is better refused.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that rested for longer is asked whether it lives before it is used.
const PING_AFTER: Duration = Duration::from_secs(30);
/// A half-open connection does not answer the ping at all.
const PING_TIMEOUT: Duration = Duration::from_millis(300);

/// How to reach Postgres.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `postgres://user@host/database`.
    pub url: String,
    /// Connections at most.
    pub max_connections: u32,
}

/// Postgres, and the only way to it.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
}

impl Store {
    /// Opens the pool, and with it at least one connection.
    ///
    /// # Errors
    /// The URL is not one, or Postgres does not answer.
    pub async fn connect(options: &StoreOptions) -> Result<Self, StoreError> {
        let connection = options
            .url
            .parse::<PgConnectOptions>()
            .map_err(StoreError::from)?;
        let pool = pool_options(options.max_connections)
            .connect_with(settings(connection))
            .await?;
        Ok(Self { pool })
    }

    /// Makes the database that `url` names and the user that it names as its owner, unless they are there. `superuser` is
    /// the URL of one who may. The owner may make the roles of the migrations, and neither bypasses row level security nor
    /// inherits what those roles may see: else a statement that forgot its role would see every tenant's rows.
    ///
    /// # Errors
    /// The server does not answer, or does not let us.
    pub async fn create_database(superuser: &str, url: &str) -> Result<(), StoreError> {
        let named = url.parse::<PgConnectOptions>()?;
        let (owner, database) = (
            quoted(named.get_username()),
            quoted(named.get_database().unwrap_or_default()),
        );
        let mut connection = PgConnection::connect(superuser).await?;
        let role = sqlx::query!(
            "SELECT 1 AS one FROM pg_roles WHERE rolname = $1",
            named.get_username()
        );
        if role.fetch_optional(&mut connection).await?.is_none() {
            connection
                .execute(AssertSqlSafe(format!(
                    "CREATE ROLE {owner} LOGIN CREATEROLE NOINHERIT"
                )))
                .await?;
        }
        let present = sqlx::query!(
            "SELECT 1 AS one FROM pg_database WHERE datname = $1",
            named.get_database()
        );
        if present.fetch_optional(&mut connection).await?.is_none() {
            connection
                .execute(AssertSqlSafe(format!("CREATE DATABASE {database} OWNER {owner}")))
                .await?;
        }
        connection.close().await?;
        let there = superuser
            .parse::<PgConnectOptions>()?
            .database(named.get_database().unwrap_or_default());
        let mut connection = PgConnection::connect_with(&there).await?;
        connection
            .execute(AssertSqlSafe(format!("ALTER SCHEMA public OWNER TO {owner}")))
            .await?;
        Ok(connection.close().await?)
    }

    /// Brings the schema up to date. Several processes may do so at once: the first does it, the others wait.
    ///
    /// # Errors
    /// A migration failed, or the database has one that this program does not know.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A migration, or the wait for another process's, may take longer than any statement of a request.
        let mut connection = self.pool.acquire().await?.detach();
        connection.execute("SET statement_timeout = 0").await?;
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(StoreError::Migrate)?;
        Ok(connection.close().await?)
    }

    /// Whether Postgres answers, and its schema is ours.
    ///
    /// # Errors
    /// It does not answer in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query!("SELECT 1 AS one").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A name as an SQL identifier, whatever characters it has.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn pool_options(max_connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < PING_AFTER {
                    return Ok(true);
                }
                Ok(matches!(
                    tokio::time::timeout(PING_TIMEOUT, connection.ping()).await,
                    Ok(Ok(()))
                ))
            })
        })
        // sqlx 0.9 is not cancel-safe here: a `begin` that is dropped half-way gives the connection back inside an open
        // transaction, and whoever gets it next is poisoned. Remove this when a release has the fix (sqlx #4394).
        // With BEGIN before it, because a ROLLBACK of nothing writes a warning to the server's log, each time.
        // The same round trip asks whether the server still takes writes: a connection to a primary that was demoted
        // answers reads and refuses every write until it is closed.
        .after_release(|connection, _| Box::pin(async move { Ok(!is_read_only(connection).await?) }))
        .after_connect(|connection, _| {
            Box::pin(async move {
                if is_read_only(connection).await? {
                    return Err(sqlx::Error::Io(std::io::Error::other(
                        "the server takes no writes: it is a standby",
                    )));
                }
                Ok(())
            })
        })
}

/// Ends whatever transaction is open, and asks whether the next could write.
async fn is_read_only(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = connection
        .fetch_one("BEGIN; ROLLBACK; SHOW transaction_read_only")
        .await?;
    let value: String = sqlx::Row::try_get(&row, 0)?;
    Ok(value == "on")
}

fn settings(connection: PgConnectOptions) -> PgConnectOptions {
    connection.application_name("wharf").options([
        // The BEGIN after each release warns when there is something to roll back.
        ("client_min_messages", "error"),
        ("idle_in_transaction_session_timeout", "15s"),
        ("statement_timeout", "10s"),
        ("timezone", "UTC"),
    ])
}
