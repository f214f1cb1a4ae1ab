//! How a session is read, in one place: the columns, and what their values mean.

use serde_json::Value;
use uuid::Uuid;
use wharf_domain::{Bytes, Generation, Millis, Percent, SessionTimeout, Timestamp};

use super::{Place, Session};
use crate::StoreError;
use crate::error::known;

const TABLE: &str = "sessions";

/// A row of [`select_sessions!`].
#[derive(Debug)]
pub(super) struct SessionRow {
    pub(super) id: Uuid,
    pub(super) project_id: Uuid,
    pub(super) status: String,
    pub(super) end_reason: Option<String>,
    pub(super) generation: i32,
    pub(super) region: String,
    pub(super) keep_alive: bool,
    pub(super) timeout_seconds: i32,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) expires_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) user_metadata: Option<Value>,
    pub(super) options: Value,
    pub(super) worker_id: Option<Uuid>,
    pub(super) worker_incarnation: Option<i64>,
    pub(super) worker_address: Option<String>,
    pub(super) running_ms: i64,
    pub(super) cpu_ms: i64,
    pub(super) memory_bytes: i64,
    pub(super) proxy_bytes: i64,
    pub(super) egress_bytes: i64,
}

/// Reads sessions with the usage of their current launch; the argument is what follows `WHERE`. A statement before it,
/// `with` its name, is one whose result is called `sessions`, and is read instead of the table.
macro_rules! select_sessions {
    ($condition:tt $(, $argument:expr)* $(,)?) => {
        $crate::sessions::row::select_sessions!(with "", $condition $(, $argument)*)
    };
    (with $before:tt, $condition:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::sessions::row::SessionRow,
            $before + r#"
            SELECT sessions.id, sessions.project_id, status, end_reason, sessions.generation, region, keep_alive,
                   timeout_seconds, created_at, updated_at, started_at, expires_at, ended_at, user_metadata, options,
                   worker_id, worker_incarnation, worker_address,
                   coalesce(running_ms, 0) AS "running_ms!", coalesce(cpu_ms, 0) AS "cpu_ms!",
                   coalesce(memory_bytes, 0) AS "memory_bytes!", coalesce(proxy_bytes, 0) AS "proxy_bytes!",
                   coalesce(egress_bytes, 0) AS "egress_bytes!"
            FROM sessions
            LEFT JOIN session_usage
                ON session_usage.session_id = sessions.id AND session_usage.generation = sessions.generation
            WHERE "#
                + $condition
            $(, $argument)*
        )
    };
}

pub(super) use select_sessions;

impl TryFrom<SessionRow> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow) -> Result<Self, StoreError> {
        let seconds = i64::from(row.timeout_seconds);
        Ok(Self {
            id: row.id.into(),
            project: row.project_id.into(),
            status: known(TABLE, &row.status)?,
            end_reason: row.end_reason.map(|reason| known(TABLE, &reason)).transpose()?,
            generation: Generation(row.generation),
            region: known(TABLE, &row.region)?,
            keep_alive: row.keep_alive,
            timeout: SessionTimeout::try_from(seconds).map_err(|_| StoreError::Unknown {
                table: TABLE,
                value: seconds.to_string(),
            })?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            started_at: row.started_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            user_metadata: row.user_metadata,
            options: row.options,
            place: Place::from_columns(row.worker_id, row.worker_incarnation, row.worker_address),
            proxy_bytes: Bytes(row.proxy_bytes.unsigned_abs()),
            egress_bytes: Bytes(row.egress_bytes.unsigned_abs()),
            average_cpu: Percent::of_one_core(
                Millis(row.cpu_ms.unsigned_abs()),
                Millis(row.running_ms.unsigned_abs()),
            ),
            memory: Bytes(row.memory_bytes.unsigned_abs()),
        })
    }
}
