//! Row level security is on wherever a project's rows are: also for a table that is added tomorrow.

use sqlx::{AssertSqlSafe, Executor, PgPool};
use wharf_domain::{Bytes, Generation, Millis, ProjectId};
use wharf_store::sessions::{self, UsageReport};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{place, raw};

/// What the catalogue says of a table.
#[derive(Debug, sqlx::FromRow)]
struct Guarded {
    name: String,
    enabled: bool,
    forced: bool,
    policies: Vec<String>,
}

#[tokio::test]
async fn every_table_with_a_project_is_guarded_for_exactly_the_two_roles() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tables: Vec<Guarded> = sqlx::query_as(
        "SELECT relname::text AS name, relrowsecurity AS enabled, relforcerowsecurity AS forced, array(
             SELECT rolname || ': ' || polcmd::text || ' ' || polpermissive::text || ' ' || pg_get_expr(polqual, polrelid)
                 || coalesce(' / ' || pg_get_expr(polwithcheck, polrelid), '')
             FROM pg_policy JOIN pg_roles ON pg_roles.oid = ANY (polroles) OR polroles = '{0}'
             WHERE polrelid = pg_class.oid ORDER BY 1) AS policies
         FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND (relname = 'projects' OR EXISTS (
             SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'project_id' AND NOT attisdropped))
         ORDER BY relname",
    )
    .fetch_all(&database.superuser().await?)
    .await?;
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    let expected = [
        "api_keys",
        "certificates",
        "projects",
        "session_creations",
        "session_events",
        "session_usage",
        "sessions",
        "usage_ledger",
    ];
    assert_eq!(names, expected);
    for table in &tables {
        assert!(table.enabled && table.forced, "{table:?}");
        let column = if table.name == "projects" {
            "id"
        } else {
            "project_id"
        };
        assert_eq!(
            table.policies,
            [
                "wharf_system: * true true".to_owned(),
                format!("wharf_tenant: * true ({column} = current_project())"),
            ],
            "{table:?}"
        );
    }
    database.close().await
}

#[tokio::test]
async fn the_two_roles_cannot_log_in_or_pass_the_guard() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tame: Vec<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_roles
         WHERE rolname LIKE 'wharf\\_%' AND NOT (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole)
         ORDER BY 1",
    )
    .fetch_all(&database.superuser().await?)
    .await?;
    assert_eq!(tame, ["wharf_system", "wharf_tenant"]);
    database.close().await
}

#[tokio::test]
async fn without_a_project_there_are_no_rows() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let project = populate(&database).await?;
    let relations = relations_with_projects(&superuser).await?;
    assert!(relations.len() >= 8, "{relations:?}");
    for relation in &relations {
        let mut tenant = raw(&superuser, "wharf_tenant", Some(project)).await?;
        assert_eq!(count(&mut tenant, relation).await?, 1, "{relation}, own project");
        tenant.rollback().await?;
        let mut tenant = raw(&superuser, "wharf_tenant", None).await?;
        assert_eq!(count(&mut tenant, relation).await?, 0, "{relation}");
        tenant.execute("SET LOCAL wharf.project = ''").await?;
        assert_eq!(
            count(&mut tenant, relation).await?,
            0,
            "{relation}, empty setting"
        );
    }
    database.close().await
}

/// A service that connects as the tables' owner, and runs a statement outside of the store's transactions.
#[tokio::test]
async fn the_owner_of_the_tables_sees_nothing_without_a_role() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let project = populate(&database).await?;
    let tables = relations_with_projects(&superuser).await?;
    // Rolled back at the end: roles belong to the whole server.
    let mut owner = superuser
        .begin_with("BEGIN; CREATE ROLE wharf_test_owner")
        .await?;
    owner
        .execute("GRANT CREATE ON SCHEMA public TO wharf_test_owner")
        .await?;
    for table in &tables {
        owner
            .execute(AssertSqlSafe(format!(
                "ALTER TABLE {table} OWNER TO wharf_test_owner"
            )))
            .await?;
    }
    owner
        .execute(AssertSqlSafe(format!(
            "SET LOCAL ROLE wharf_test_owner; SET LOCAL wharf.project = '{project}'"
        )))
        .await?;
    for table in &tables {
        assert_eq!(count(&mut owner, table).await?, 0, "{table}");
    }
    owner.rollback().await?;
    database.close().await
}

/// A row in every table with a project.
async fn populate(database: &TestDatabase) -> anyhow::Result<ProjectId> {
    let store = &database.store;
    let worker = Tenant::worker(store, "worker", 10).await?;
    let tenant = Tenant::create(store, "tenant", 10, 10).await?;
    let report = UsageReport {
        session: place(store, tenant.project).await?,
        generation: Generation::FIRST,
        running: Millis(1),
        cpu: Millis(1),
        memory: Bytes(1),
        proxy: Bytes(1),
        egress: Bytes(1),
    };
    let mut transaction = store.system().await?;
    sessions::merge_usage(&mut transaction, worker, &[report]).await?;
    transaction.commit().await?;
    let rest = "INSERT INTO usage_ledger (session_id, generation, entry, project_id, started_at, browser_ms, cpu_ms, proxy_bytes)
                    SELECT id, 1, 1, project_id, now(), 1, 1, 1 FROM sessions;
                INSERT INTO session_creations (session_id, project_id, api_key_id, body_hash, retry_count)
                    SELECT id, project_id, id, sha256(''), 0 FROM sessions;
                INSERT INTO certificates (id, project_id, pem) SELECT id, project_id, 'pem' FROM sessions";
    database.superuser().await?.execute(rest).await?;
    Ok(tenant.project)
}

/// Tables and views.
async fn relations_with_projects(superuser: &PgPool) -> anyhow::Result<Vec<String>> {
    Ok(sqlx::query_scalar(
        "SELECT DISTINCT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND (column_name = 'project_id' OR table_name = 'projects')",
    )
    .fetch_all(superuser)
    .await?)
}

async fn count(connection: &mut sqlx::PgConnection, relation: &str) -> anyhow::Result<i64> {
    let rows = format!("SELECT count(*) FROM {relation}");
    Ok(sqlx::query_scalar(AssertSqlSafe(rows))
        .fetch_one(connection)
        .await?)
}
