//! The hot statements' plans, of the very texts that the queries were compiled from.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool};
use wharf_domain::ProjectId;
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::raw;

/// Fifty projects with the same share each.
const PROJECTS: &str = "
    INSERT INTO projects (id, organization_id, name, concurrency, creates_per_minute)
    SELECT gen_random_uuid(), organization_id, n::text, 1, 1 FROM projects, generate_series(1, 49) AS n";

/// Ids sort by creation, and statuses are as lopsided as life's.
const ROWS: &str = "
    INSERT INTO sessions (id, project_id, status, end_reason, ended_at, region, keep_alive, timeout_seconds, expires_at,
                          user_metadata, worker_id, worker_incarnation, worker_address)
    SELECT (to_char(n, 'fm00000000') || '-0000-7000-8000-000000000000')::uuid,
           everybody.ids[1 + n % 50], status, CASE WHEN status <> 'RUNNING' THEN 'released' END,
           CASE WHEN status <> 'RUNNING' THEN now() END, 'us-west-2', false, 60, now(),
           jsonb_build_object('order', n, 'team', 'sales'), $2, 1, 'here'
    FROM (SELECT array_agg(id ORDER BY id <> $1) AS ids FROM projects) AS everybody, generate_series(1, 20000) AS n,
         LATERAL (SELECT CASE WHEN n / 50 % 50 = 1 THEN 'RUNNING' WHEN n / 50 % 50 < 4 THEN 'ERROR' ELSE 'COMPLETED' END)
             AS life (status)";
const USAGE: &str = "
    INSERT INTO session_usage (session_id, generation, project_id, running_ms, cpu_ms, memory_bytes, proxy_bytes)
    SELECT id, 1, project_id, 1, 1, 1, 1 FROM sessions";

/// A database with 20,000 sessions and its statistics.
struct Filled {
    database: TestDatabase,
    superuser: PgPool,
    project: ProjectId,
}

/// One node of a plan: its type, and its index if it has one.
type Node = (String, Option<String>);

impl Filled {
    async fn new() -> anyhow::Result<Self> {
        let database = TestDatabase::new().await?;
        let superuser = database.superuser().await?;
        let worker = Tenant::worker(&database.store, "worker", 1).await?;
        let project = Tenant::create(&database.store, "tenant", 1, 1).await?.project;
        superuser.execute(PROJECTS).await?;
        sqlx::query(ROWS)
            .bind(project.as_uuid())
            .bind(worker.as_uuid())
            .execute(&superuser)
            .await?;
        superuser.execute(USAGE).await?;
        superuser.execute("ANALYZE").await?;
        Ok(Self {
            database,
            superuser,
            project,
        })
    }

    /// The plan of a statement in the tenant's role, with these values in place of its parameters. Lists run with custom
    /// plans; the others with generic ones too, once a connection has run them a few times.
    async fn plan(&self, mode: &str, statement: &str, values: &[&str]) -> anyhow::Result<Vec<Node>> {
        let mut tenant = raw(&self.superuser, "wharf_tenant", Some(self.project)).await?;
        let connection: &mut PgConnection = &mut tenant;
        let prepare = format!(
            "SET LOCAL plan_cache_mode = force_{mode}_plan; DEALLOCATE ALL; PREPARE hot AS {statement}"
        );
        connection.execute(AssertSqlSafe(prepare)).await?;
        let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE hot ({})", values.join(", "));
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain))
            .persistent(false)
            .fetch_one(connection)
            .await?;
        let mut nodes = Vec::new();
        collect(&plan[0]["Plan"], &mut nodes);
        Ok(nodes)
    }
}

fn collect(plan: &Value, nodes: &mut Vec<Node>) {
    let text = |name: &str| plan[name].as_str().map(str::to_owned);
    nodes.push((text("Node Type").unwrap_or_default(), text("Index Name")));
    for child in plan["Plans"].as_array().into_iter().flatten() {
        collect(child, nodes);
    }
}

fn uses(nodes: &[Node], wanted: &str) -> bool {
    nodes.iter().any(|(_, index)| index.as_deref() == Some(wanted))
}

fn sorts(nodes: &[Node]) -> bool {
    nodes.iter().any(|(node, _)| node.contains("Sort"))
}

/// The one committed query with all of `with` in its text and none of `without`.
fn statement(with: &[&str], without: &[&str]) -> anyhow::Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let query: Value = serde_json::from_slice(&std::fs::read(file?.path())?)?;
        let text = query["query"].as_str().context("a query file has a query")?;
        if with.iter().all(|part| text.contains(part)) && !without.iter().any(|part| text.contains(part)) {
            found.push(text.to_owned());
        }
    }
    assert_eq!(found.len(), 1, "queries with {with:?} and without {without:?}");
    Ok(found.remove(0))
}

const COLUMNS: &str = "keep_alive,";
const BEFORE: &str = "'ffffffff-ffff-ffff-ffff-ffffffffffff'";

#[tokio::test]
async fn one_session_is_read_by_the_primary_key() -> anyhow::Result<()> {
    let filled = Filled::new().await?;
    let get = statement(&[COLUMNS, "sessions.id = $1"], &[])?;
    let values = [
        "'00005000-0000-7000-8000-000000000000'",
        &format!("'{}'", filled.project),
    ];
    for mode in ["custom", "generic"] {
        let nodes = filled.plan(mode, &get, &values).await?;
        assert!(uses(&nodes, "sessions_pkey"), "{mode}: {nodes:?}");
    }
    filled.database.close().await
}

#[tokio::test]
async fn lists_walk_their_index_in_order() -> anyhow::Result<()> {
    let filled = Filled::new().await?;
    let project = format!("'{}'", filled.project);
    let plain = statement(&[COLUMNS, "LIMIT $3"], &["status = $4", "@>"])?;
    let by_status = statement(&[COLUMNS, "LIMIT $3", "status = $4"], &["@>"])?;
    let nodes = filled.plan("custom", &plain, &[&project, BEFORE, "100"]).await?;
    assert!(uses(&nodes, "sessions_by_project") && !sorts(&nodes), "{nodes:?}");
    for status in ["'ERROR'", "'TIMED_OUT'"] {
        let nodes = filled
            .plan("custom", &by_status, &[&project, BEFORE, "100", status])
            .await?;
        assert!(uses(&nodes, "sessions_by_status"), "{status}: {nodes:?}");
    }
    filled.database.close().await
}

#[tokio::test]
async fn metadata_is_searched_by_its_index_when_few_rows_have_it() -> anyhow::Result<()> {
    let filled = Filled::new().await?;
    let project = format!("'{}'", filled.project);
    let by_metadata = statement(&[COLUMNS, "LIMIT $3", "@> $4"], &[])?;
    let by_both = statement(&[COLUMNS, "LIMIT $3", "@> $5"], &[])?;
    for (metadata, index) in [
        (r#"'{"order": 4700}'"#, "sessions_by_metadata"),
        (r#"'{"team": "sales"}'"#, "sessions_by_project"),
    ] {
        let nodes = filled
            .plan("custom", &by_metadata, &[&project, BEFORE, "100", metadata])
            .await?;
        assert!(uses(&nodes, index), "{metadata}: {nodes:?}");
    }
    let values = [&project, BEFORE, "100", "'COMPLETED'", r#"'{"order": 4700}'"#];
    let nodes = filled.plan("custom", &by_both, &values).await?;
    assert!(uses(&nodes, "sessions_by_metadata"), "{nodes:?}");
    filled.database.close().await
}
