//! What the database says, past the service: for checkers. Each question opens a connection of its own, since the server
//! may have been killed since the last.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};
use tokio::time::timeout;
use uuid::Uuid;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Looks at a fleet's database as its superuser.
#[derive(Debug, Clone)]
pub struct Audit {
    url: String,
}

/// A session's row, with its usage.
#[derive(Debug, Clone)]
pub struct AuditedSession {
    /// The session.
    pub id: Uuid,
    /// Its project.
    pub project: Uuid,
    /// As on the wire.
    pub status: String,
    /// As on the wire; `None` while it lives.
    pub end_reason: Option<String>,
    /// Which launch.
    pub generation: i32,
    /// The name of its worker; `None` while it waits for one.
    pub worker: Option<String>,
    /// The caller's object.
    pub user_metadata: Option<Value>,
    /// Seconds from its browser's readiness to its end; `None` when one of the two never came.
    pub ran: Option<f64>,
    /// Seconds that are billed.
    pub billed: f64,
    /// Seconds since its deadline; negative before it.
    pub overdue: f64,
}

/// A counter, and what it counts, seen at one moment.
#[derive(Debug, Clone)]
pub struct Counter {
    /// Whose.
    pub name: String,
    /// What the counter says.
    pub counted: i64,
    /// How many live sessions there are.
    pub live: i64,
    /// What it may be at most.
    pub limit: i64,
}

/// With the ledger, if this database has one, in place of the running counters.
const LEDGER: &str = "SELECT to_regclass('usage_ledger') IS NOT NULL";
const BILLED_BY_LEDGER: &str = "SELECT sum(browser_ms) FROM usage_ledger u WHERE u.session_id = s.id";
const BILLED_BY_REPORTS: &str = "SELECT sum(running_ms) FROM session_usage u WHERE u.session_id = s.id";

impl Audit {
    /// Of the database at this URL, which is a superuser's.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Every session.
    pub async fn sessions(&self) -> anyhow::Result<Vec<AuditedSession>> {
        self.ask(async |connection| {
            let ledger: bool = sqlx::query_scalar(LEDGER).fetch_one(&mut *connection).await?;
            let billed = if ledger {
                BILLED_BY_LEDGER
            } else {
                BILLED_BY_REPORTS
            };
            let statement = format!(
                "SELECT s.id, s.project_id, s.status, s.end_reason, s.generation, w.name, s.user_metadata,
                        extract(epoch FROM s.ended_at - s.started_at)::float8 AS ran,
                        (coalesce(({billed}), 0) / 1000.0)::float8 AS billed,
                        extract(epoch FROM now() - s.expires_at)::float8 AS overdue
                 FROM sessions s LEFT JOIN workers w ON w.id = s.worker_id ORDER BY s.id"
            );
            let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
                .fetch_all(&mut *connection)
                .await?;
            Ok(rows.iter().map(session).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Every project's counter of live sessions.
    pub async fn projects(&self) -> anyhow::Result<Vec<Counter>> {
        self.counters(
            "SELECT p.name, p.active_sessions::bigint AS counted, p.concurrency::bigint AS most,
                    (SELECT count(*) FROM sessions s
                     WHERE s.project_id = p.id AND s.status IN ('PENDING', 'RUNNING')) AS live
             FROM projects p ORDER BY p.name",
        )
        .await
    }

    /// Every worker's counter of slots that are taken.
    pub async fn workers(&self) -> anyhow::Result<Vec<Counter>> {
        self.counters(
            "SELECT w.name, w.used_slots::bigint AS counted, w.slots::bigint AS most,
                    (SELECT count(*) FROM sessions s
                     WHERE s.worker_id = w.id AND s.worker_incarnation = w.incarnation AND s.status IN ('PENDING', 'RUNNING')) AS live
             FROM workers w ORDER BY w.name",
        )
        .await
    }

    /// Everything that reports may change about sessions and what is billed for them, a text for each row.
    pub async fn reported_rows(&self) -> anyhow::Result<Vec<String>> {
        self.ask(async |connection| {
            let rows = "SELECT (id, status, generation, end_reason, started_at, ended_at)::text AS row FROM sessions
                        UNION ALL SELECT (session_id, generation, running_ms, cpu_ms, proxy_bytes, egress_bytes)::text FROM session_usage
                        UNION ALL SELECT t::text FROM usage_ledger t
                        ORDER BY row";
            Ok(sqlx::query_scalar(rows).fetch_all(connection).await?)
        })
        .await
    }

    /// How many workers have said nothing for so many seconds.
    pub async fn silent_workers(&self, seconds: f64) -> anyhow::Result<i64> {
        self.ask(async |connection| {
            let silent = "SELECT count(*) FROM workers WHERE extract(epoch FROM now() - last_seen_at) > $1";
            Ok(sqlx::query_scalar(silent)
                .bind(seconds)
                .fetch_one(connection)
                .await?)
        })
        .await
    }

    async fn counters(&self, statement: &'static str) -> anyhow::Result<Vec<Counter>> {
        self.ask(async |connection| {
            let rows = sqlx::query(statement).fetch_all(&mut *connection).await?;
            let counter = |row: &PgRow| -> sqlx::Result<Counter> {
                Ok(Counter {
                    name: row.try_get("name")?,
                    counted: row.try_get("counted")?,
                    live: row.try_get("live")?,
                    limit: row.try_get("most")?,
                })
            };
            Ok(rows.iter().map(counter).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let asked = async {
            let mut connection = PgConnection::connect(&self.url).await?;
            let answer = question(&mut connection).await?;
            connection.close().await?;
            Ok(answer)
        };
        timeout(ANSWER_WITHIN, asked)
            .await
            .context("Postgres took too long to answer an audit")?
    }
}

fn session(row: &PgRow) -> sqlx::Result<AuditedSession> {
    Ok(AuditedSession {
        id: row.try_get("id")?,
        project: row.try_get("project_id")?,
        status: row.try_get("status")?,
        end_reason: row.try_get("end_reason")?,
        generation: row.try_get("generation")?,
        worker: row.try_get("name")?,
        user_metadata: row.try_get("user_metadata")?,
        ran: row.try_get("ran")?,
        billed: row.try_get("billed")?,
        overdue: row.try_get("overdue")?,
    })
}

impl AuditedSession {
    /// Whether nothing can happen to it any more.
    pub fn is_terminal(&self) -> bool {
        !matches!(self.status.as_str(), "PENDING" | "RUNNING")
    }
}
