//! Merges what a worker reports of its sessions' usage.

use wharf_domain::{Bytes, Generation, Millis, SessionId, WorkerId};

use crate::{StoreError, SystemTransaction};

/// What one launch of a session used since its start.
#[derive(Debug, Clone, Copy)]
pub struct UsageReport {
    /// The session.
    pub session: SessionId,
    /// The launch.
    pub generation: Generation,
    /// Time since its browser answered.
    pub running: Millis,
    /// CPU time.
    pub cpu: Millis,
    /// Highest memory seen.
    pub memory: Bytes,
    /// Bytes through the proxy.
    pub proxy: Bytes,
    /// Bytes by any road.
    pub egress: Bytes,
}

/// Stores the reports of this worker's own sessions. Numbers only rise: a replayed or late report changes nothing, not
/// even a row. What is reported of a session only after its end was billed makes a further entry in the ledger; its time
/// does not: it ended when it ended.
///
/// # Errors
/// Postgres does not answer.
pub async fn merge_usage(
    transaction: &mut SystemTransaction,
    worker: WorkerId,
    reports: &[UsageReport],
) -> Result<(), StoreError> {
    if reports.is_empty() {
        return Ok(());
    }
    let sessions: Vec<_> = reports.iter().map(|report| report.session.as_uuid()).collect();
    let generations: Vec<_> = reports.iter().map(|report| report.generation.0).collect();
    let column = |value: fn(&UsageReport) -> u64| -> Vec<i64> {
        reports
            .iter()
            .map(|report| i64::try_from(value(report)).unwrap_or(i64::MAX))
            .collect()
    };
    sqlx::query!(
        r#"
        WITH merged AS (
            INSERT INTO session_usage
                (session_id, generation, project_id, running_ms, cpu_ms, memory_bytes, proxy_bytes, egress_bytes)
            SELECT report.session_id, report.generation, sessions.project_id,
                   max(report.running_ms), max(report.cpu_ms), max(report.memory_bytes), max(report.proxy_bytes),
                   max(report.egress_bytes)
            FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
                AS report (session_id, generation, running_ms, cpu_ms, memory_bytes, proxy_bytes, egress_bytes)
            JOIN sessions ON sessions.id = report.session_id AND sessions.worker_id = $8
            GROUP BY report.session_id, report.generation, sessions.project_id
            ORDER BY report.session_id, report.generation
            ON CONFLICT (session_id, generation) DO UPDATE
            SET running_ms = greatest(session_usage.running_ms, excluded.running_ms),
                cpu_ms = greatest(session_usage.cpu_ms, excluded.cpu_ms),
                memory_bytes = greatest(session_usage.memory_bytes, excluded.memory_bytes),
                proxy_bytes = greatest(session_usage.proxy_bytes, excluded.proxy_bytes),
                egress_bytes = greatest(session_usage.egress_bytes, excluded.egress_bytes),
                reported_at = now()
            WHERE session_usage.running_ms < excluded.running_ms OR session_usage.cpu_ms < excluded.cpu_ms
                OR session_usage.memory_bytes < excluded.memory_bytes OR session_usage.proxy_bytes < excluded.proxy_bytes
                OR session_usage.egress_bytes < excluded.egress_bytes
            RETURNING session_id, generation, project_id, cpu_ms, proxy_bytes
        ),
        billed AS (
            SELECT session_id, generation, max(entry) AS entry, min(started_at) AS started_at,
                   sum(ledger.cpu_ms)::bigint AS cpu_ms, sum(ledger.proxy_bytes)::bigint AS proxy_bytes
            FROM merged JOIN usage_ledger AS ledger USING (session_id, generation)
            GROUP BY session_id, generation
        )
        INSERT INTO usage_ledger (session_id, generation, entry, project_id, started_at, browser_ms, cpu_ms, proxy_bytes)
        SELECT session_id, generation, billed.entry + 1, merged.project_id, billed.started_at, 0,
               greatest(merged.cpu_ms - billed.cpu_ms, 0), greatest(merged.proxy_bytes - billed.proxy_bytes, 0)
        FROM merged JOIN billed USING (session_id, generation)
        WHERE merged.cpu_ms > billed.cpu_ms OR merged.proxy_bytes > billed.proxy_bytes
        "#,
        &sessions,
        &generations,
        &column(|report| report.running.0),
        &column(|report| report.cpu.0),
        &column(|report| report.memory.0),
        &column(|report| report.proxy.0),
        &column(|report| report.egress.0),
        worker.as_uuid(),
    )
    .execute(transaction.connection())
    .await?;
    Ok(())
}
