//! Two orders of locks that once could close a circle, each played step by step.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres, Transaction};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wharf_domain::{Bytes, Generation, Incarnation, Millis, ProjectId, WorkerId};
use wharf_store::sessions::{self, Admission, UsageReport};
use wharf_store::{Store, workers};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{blocked, create, new_session, place};

type Creates = JoinSet<anyhow::Result<Admission>>;

fn spawn_create(creates: &mut Creates, store: &Store, project: ProjectId) {
    let store = store.clone();
    creates.spawn(async move { create(&store, project, &new_session()).await });
}

fn used_slots(worker: WorkerId, used: i32) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "UPDATE workers SET used_slots = {used} WHERE id = '{worker}'"
    ))
}

/// Holds the worker's row until the transaction ends.
async fn hold(superuser: &PgPool, worker: WorkerId) -> anyhow::Result<Transaction<'static, Postgres>> {
    let begin = format!("BEGIN; SELECT FROM workers WHERE id = '{worker}' FOR UPDATE");
    Ok(superuser.begin_with(AssertSqlSafe(begin)).await?)
}

/// One create has waited for the first worker and found it full, the other for the second: neither may keep the full
/// one's row while it waits for the other's.
#[tokio::test]
async fn creates_that_lose_their_workers_do_not_wait_for_each_other() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let watcher = database.superuser().await?;
    let one = Tenant::create(&database.store, "one", 10, 10).await?.project;
    let two = Tenant::create(&database.store, "two", 10, 10).await?.project;
    let first = Tenant::worker(&database.store, "first", 10).await?;
    let second = Tenant::worker(&database.store, "second", 10).await?;
    superuser.execute(used_slots(first, 2)).await?;
    superuser.execute(used_slots(second, 3)).await?;

    let mut creates = JoinSet::new();
    let mut first_held = hold(&superuser, first).await?;
    spawn_create(&mut creates, &database.store, one);
    blocked(&watcher, 1).await?;
    superuser.execute(used_slots(second, 1)).await?;
    let mut second_held = hold(&superuser, second).await?;
    spawn_create(&mut creates, &database.store, two);
    blocked(&watcher, 2).await?;
    first_held.execute(used_slots(first, 10)).await?;
    first_held.commit().await?;
    blocked(&watcher, 1).await?;
    second_held.execute(used_slots(second, 10)).await?;
    second_held.commit().await?;
    while let Some(outcome) = creates.join_next().await {
        assert!(outcome??.place().is_none(), "both workers are full");
    }
    database.close().await
}

/// A create holds its project and waits for the worker; the heartbeat holds the worker, and its first report of a
/// session refers to the project.
#[tokio::test]
async fn a_heartbeat_does_not_wait_for_a_create_that_waits_for_it() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let project = Tenant::create(&database.store, "tenant", 10, 10).await?.project;
    let worker = Tenant::worker(&database.store, "worker", 10).await?;
    let report = UsageReport {
        session: place(&database.store, project).await?,
        generation: Generation::FIRST,
        running: Millis(1),
        cpu: Millis(1),
        memory: Bytes(1),
        proxy: Bytes(1),
        egress: Bytes(1),
    };
    let mut heartbeat = database.store.system().await?;
    assert!(
        workers::renew(&mut heartbeat, worker, Incarnation(1), false)
            .await?
            .is_some()
    );
    let mut creates = JoinSet::new();
    spawn_create(&mut creates, &database.store, project);
    blocked(&database.superuser().await?, 1).await?;
    // Far less than the second after which Postgres would look for a deadlock, and end one of the two.
    let reports = [report];
    let merged = sessions::merge_usage(&mut heartbeat, worker, &reports);
    timeout(Duration::from_millis(500), merged).await??;
    heartbeat.commit().await?;
    let admission = creates.join_next().await.unwrap()??;
    assert!(admission.place().is_some());
    database.close().await
}
