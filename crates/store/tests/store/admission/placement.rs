//! Which worker gets a session, and what a refusal leaves behind.

use sqlx::{Executor, PgPool};
use wharf_domain::{Region, SessionTimeout, WorkerId};
use wharf_store::Store;
use wharf_store::sessions::Stored;
use wharf_store::workers::{self, Registration};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{contents, create, get, new_session, place};

async fn worker_with(store: &Store, name: &str, regions: &[Region], slots: i32) -> anyhow::Result<WorkerId> {
    let id = Tenant::worker(store, name, 0).await?;
    let mut transaction = store.system().await?;
    let address = "10.0.0.1:7000";
    workers::register(
        &mut transaction,
        Registration {
            id,
            address,
            regions,
            slots,
            process: None,
        },
    )
    .await?;
    transaction.commit().await?;
    Ok(id)
}

async fn set_used_slots(superuser: &PgPool, worker: WorkerId, used: i32) -> anyhow::Result<()> {
    sqlx::query("UPDATE workers SET used_slots = $2 WHERE id = $1")
        .bind(worker.as_uuid())
        .bind(used)
        .execute(superuser)
        .await?;
    Ok(())
}

async fn stored(store: &Store, tenant: &Tenant) -> anyhow::Result<Option<Stored>> {
    Ok(create(store, tenant.project, &new_session()).await?.stored)
}

/// As if they had never been.
async fn end_all(superuser: &PgPool) -> anyhow::Result<()> {
    superuser
        .execute("DELETE FROM sessions; UPDATE projects SET active_sessions = 0")
        .await?;
    Ok(())
}

async fn drain(store: &Store, worker: WorkerId) -> anyhow::Result<()> {
    let mut transaction = store.system().await?;
    assert!(workers::drain(&mut transaction, worker, true).await?);
    Ok(transaction.commit().await?)
}

#[tokio::test]
async fn a_silent_worker_gets_nothing() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    Tenant::worker(&database.store, "worker", 10).await?;
    superuser
        .execute("UPDATE workers SET last_seen_at = now() - interval '10 s'")
        .await?;
    let waiting = stored(&database.store, &tenant)
        .await?
        .expect("it may speak again");
    assert_eq!(waiting.place, None);
    end_all(&superuser).await?;
    superuser
        .execute("UPDATE workers SET last_seen_at = now() - interval '60 s'")
        .await?;
    assert!(stored(&database.store, &tenant).await?.is_none(), "it is lost");
    superuser
        .execute("UPDATE workers SET last_seen_at = now() - interval '5 s'")
        .await?;
    assert!(
        stored(&database.store, &tenant)
            .await?
            .is_some_and(|stored| stored.place.is_some())
    );
    database.close().await
}

#[tokio::test]
async fn a_worker_gets_sessions_of_its_regions_only() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    let regions = [Region::EuCentral1, Region::UsEast1];
    let worker = worker_with(&database.store, "worker", &regions, 10).await?;
    assert!(
        stored(&database.store, &tenant).await?.is_none(),
        "it does not serve us-west-2"
    );
    let mut new = new_session();
    new.region = Region::UsEast1;
    let admission = create(&database.store, tenant.project, &new).await?;
    assert_eq!(admission.place().map(|place| place.worker), Some(worker));
    let session = get(&database.store, tenant.project, new.id).await?.unwrap();
    assert_eq!(
        (session.region, session.place.as_ref().map(|place| place.worker)),
        (Region::UsEast1, Some(worker))
    );
    assert_eq!(session.place.unwrap().address, "10.0.0.1:7000");
    database.close().await
}

#[tokio::test]
async fn the_worker_with_the_lowest_share_of_used_slots_is_chosen() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    let half = Tenant::worker(&database.store, "half", 2).await?;
    let quarter = Tenant::worker(&database.store, "quarter", 8).await?;
    let third = Tenant::worker(&database.store, "third", 30).await?;
    let idle_but_silent = Tenant::worker(&database.store, "silent", 100).await?;
    sqlx::query("UPDATE workers SET last_seen_at = '-infinity' WHERE id = $1")
        .bind(idle_but_silent.as_uuid())
        .execute(&superuser)
        .await?;
    // Neither the fewest used slots nor the most free ones decide.
    set_used_slots(&superuser, half, 1).await?;
    set_used_slots(&superuser, quarter, 2).await?;
    set_used_slots(&superuser, third, 10).await?;
    for expected in [quarter, third] {
        let chosen = stored(&database.store, &tenant)
            .await?
            .and_then(|stored| Some(stored.place?.worker));
        assert_eq!(chosen, Some(expected));
    }
    database.close().await
}

#[tokio::test]
async fn a_refusal_changes_nothing() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let tables = ["projects", "workers", "sessions", "session_events"];
    let worker = Tenant::worker(&database.store, "worker", 3).await?;
    for (name, concurrency, creates_per_minute) in [("full", 1, 10), ("fast", 10, 1), ("unserved", 10, 10)] {
        let tenant = Tenant::create(&database.store, name, concurrency, creates_per_minute).await?;
        place(&database.store, tenant.project).await?;
        if name == "unserved" {
            drain(&database.store, worker).await?;
        }
        let before = contents(&superuser, &tables).await?;
        assert!(stored(&database.store, &tenant).await?.is_none(), "{name}");
        assert_eq!(contents(&superuser, &tables).await?, before, "{name}");
    }
    database.close().await
}

#[tokio::test]
async fn a_session_gets_its_own_timeout_or_the_projects() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    Tenant::worker(&database.store, "worker", 10).await?;
    let by_default = stored(&database.store, &tenant).await?.unwrap();
    assert_eq!(by_default.timeout.seconds(), 3_600);
    let mut new = new_session();
    new.timeout = Some(SessionTimeout::try_from(61)?);
    let admission = create(&database.store, tenant.project, &new).await?;
    assert_eq!(admission.stored.unwrap().timeout.seconds(), 61);
    let session = get(&database.store, tenant.project, new.id).await?.unwrap();
    assert_eq!((session.expires_at - session.created_at).num_seconds(), 61);
    database.close().await
}

#[tokio::test]
async fn a_project_that_is_gone_gets_no_admission() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    database
        .superuser()
        .await?
        .execute("DELETE FROM api_keys; DELETE FROM projects")
        .await?;
    let refused = create(&database.store, tenant.project, &new_session()).await;
    assert!(refused.unwrap_err().to_string().contains("the project exists"));
    database.close().await
}
