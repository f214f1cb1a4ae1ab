//! What a tenant tries with another's rows.

use sqlx::{AssertSqlSafe, Executor, PgPool};
use wharf_domain::{EndReason, Generation, ProjectId, SessionId};
use wharf_store::sessions::{self, SessionFilter};
use wharf_store::{Store, projects};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{contents, place, raw};

const INSUFFICIENT_PRIVILEGE: &str = "42501";
const EVERYTHING: [&str; 8] = [
    "projects",
    "api_keys",
    "workers",
    "sessions",
    "session_usage",
    "session_events",
    "usage_ledger",
    "session_creations",
];

/// A session of somebody else's, and the project that wants it.
struct Scene {
    database: TestDatabase,
    superuser: PgPool,
    session: SessionId,
    owner: ProjectId,
    stranger: ProjectId,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let database = TestDatabase::new().await?;
        Tenant::worker(&database.store, "worker", 10).await?;
        let owner = Tenant::create(&database.store, "owner", 10, 10).await?.project;
        let stranger = Tenant::create(&database.store, "stranger", 10, 10).await?.project;
        Ok(Self {
            superuser: database.superuser().await?,
            session: place(&database.store, owner).await?,
            owner,
            stranger,
            database,
        })
    }

    fn store(&self) -> &Store {
        &self.database.store
    }
}

#[tokio::test]
async fn no_function_of_the_store_reaches_another_projects_session() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let before = contents(&scene.superuser, &EVERYTHING).await?;
    let mut stranger = scene.store().tenant(scene.stranger).await?;
    assert_eq!(sessions::get(&mut stranger, scene.session).await?, None);
    let all = SessionFilter::default();
    assert_eq!(sessions::list(&mut stranger, &all, 100).await?, []);
    assert_eq!(
        sessions::start(&mut stranger, scene.session, Generation::FIRST).await?,
        None
    );
    let ended = sessions::end_own(
        &mut stranger,
        scene.session,
        EndReason::Released,
        wharf_domain::Actor::ControlPlane,
    )
    .await?;
    assert_eq!(ended, None);
    let project = projects::get(&mut stranger).await?.unwrap();
    assert_eq!((project.id, project.active_sessions), (scene.stranger, 0));
    stranger.commit().await?;
    assert_eq!(contents(&scene.superuser, &EVERYTHING).await?, before);

    let mut owner = scene.store().tenant(scene.owner).await?;
    assert!(sessions::get(&mut owner, scene.session).await?.is_some());
    assert_eq!(sessions::list(&mut owner, &all, 100).await?.len(), 1);
    let started = sessions::start(&mut owner, scene.session, Generation::FIRST).await?;
    assert_eq!(started, sessions::get(&mut owner, scene.session).await?);
    assert!(started.is_some());
    owner.commit().await?;
    scene.database.close().await
}

/// The wall holds also when a statement forgets its project.
#[tokio::test]
async fn statements_without_a_condition_touch_only_ones_own_rows() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let before = contents(&scene.superuser, &["sessions", "api_keys"]).await?;
    let mut stranger = raw(&scene.superuser, "wharf_tenant", Some(scene.stranger)).await?;
    for (statement, rows) in [
        ("SELECT FROM sessions", 0),
        ("SELECT FROM session_usage", 0),
        ("SELECT FROM session_events", 0),
        ("SELECT FROM usage_ledger", 0),
        ("UPDATE session_creations SET retry_count = 9", 0),
        ("SELECT FROM projects", 1),
        ("SELECT FROM api_keys", 1),
        ("UPDATE sessions SET region = 'nowhere'", 0),
        ("UPDATE projects SET window_creates = 9", 1),
        ("SELECT FROM sessions FOR UPDATE", 0),
    ] {
        let done = stranger.execute(statement).await?;
        assert_eq!(done.rows_affected(), rows, "{statement}");
    }
    stranger.commit().await?;
    assert_eq!(
        contents(&scene.superuser, &["sessions", "api_keys"]).await?,
        before
    );
    let owners: i32 = sqlx::query_scalar("SELECT window_creates FROM projects WHERE id = $1")
        .bind(scene.owner.as_uuid())
        .fetch_one(&scene.superuser)
        .await?;
    assert_eq!(owners, 1, "the stranger wrote its 9 into its own row only");
    scene.database.close().await
}

#[tokio::test]
async fn a_tenant_cannot_write_into_another_project() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let own = place(scene.store(), scene.stranger).await?;
    let copied = "INSERT INTO sessions (id, project_id, region, keep_alive, timeout_seconds, expires_at, worker_id, \
                  worker_incarnation, worker_address) \
                  SELECT gen_random_uuid(), $PROJECT, region, keep_alive, timeout_seconds, expires_at, worker_id, \
                  worker_incarnation, worker_address FROM sessions";
    let refused = [
        copied.replace("$PROJECT", &format!("'{}'", scene.owner)),
        format!(
            "UPDATE sessions SET project_id = '{}' WHERE id = '{own}'",
            scene.owner
        ),
        format!("UPDATE projects SET id = '{}'", scene.owner),
        "DELETE FROM sessions".to_owned(),
        "INSERT INTO projects SELECT * FROM projects".to_owned(),
        "INSERT INTO session_usage SELECT * FROM session_usage".to_owned(),
        "UPDATE api_keys SET revoked_at = now()".to_owned(),
        "UPDATE workers SET draining = true".to_owned(),
        "SELECT FROM control_plane".to_owned(),
        "SELECT FROM reconcile_failures".to_owned(),
        "SELECT credential_hash FROM workers".to_owned(),
        "UPDATE workers SET last_seen_at = now()".to_owned(),
        "SELECT FROM organizations".to_owned(),
        "TRUNCATE sessions".to_owned(),
    ];
    for statement in refused {
        let mut tenant = raw(&scene.superuser, "wharf_tenant", Some(scene.stranger)).await?;
        let error = tenant
            .execute(AssertSqlSafe(statement.clone()))
            .await
            .unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code());
        assert_eq!(
            code.as_deref(),
            Some(INSUFFICIENT_PRIVILEGE),
            "{statement}: {error}"
        );
    }
    // The same row into the tenant's own project is fine: what was refused above was the project.
    let mut tenant = raw(&scene.superuser, "wharf_tenant", Some(scene.stranger)).await?;
    let allowed = copied.replace("$PROJECT", &format!("'{}'", scene.stranger));
    assert_eq!(tenant.execute(AssertSqlSafe(allowed)).await?.rows_affected(), 1);
    scene.database.close().await
}
