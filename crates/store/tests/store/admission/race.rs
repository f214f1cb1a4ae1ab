//! Creates at once, far more than there is room for.

use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::{Executor, PgPool};
use wharf_domain::ProjectId;
use wharf_store::Store;
use wharf_store::sessions::Admission;
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{blocked, create, new_session, place_waiting};

/// As many as the test's pool has connections.
const AT_ONCE: usize = 30;

/// So many creates, the projects in turn.
async fn race(store: &Store, projects: &[ProjectId], creates: usize) -> anyhow::Result<Vec<Admission>> {
    stream::iter((0..creates).map(|index| {
        let (store, project) = (store.clone(), projects[index % projects.len()]);
        async move { create(&store, project, &new_session()).await }
    }))
    .buffer_unordered(AT_ONCE)
    .try_collect()
    .await
}

fn split(admissions: Vec<Admission>) -> (Vec<Admission>, Vec<Admission>) {
    admissions
        .into_iter()
        .partition(|admission| admission.place().is_some())
}

async fn counters(superuser: &PgPool) -> anyhow::Result<(i64, i64, i64)> {
    Ok(sqlx::query_as(
        "SELECT (SELECT count(*) FROM sessions), (SELECT sum(active_sessions) FROM projects),
                (SELECT sum(used_slots) FROM workers)",
    )
    .fetch_one(superuser)
    .await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_exact() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    Tenant::worker(&database.store, "worker", 1_000).await?;
    let tenant = Tenant::create(&database.store, "tenant", 25, 1_000).await?;
    let (placed, refused) = split(race(&database.store, &[tenant.project], 200).await?);
    assert_eq!((placed.len(), refused.len()), (25, 175));
    // Each placed one saw one more than the one before it, and each refused one the full house.
    let mut seen: Vec<_> = placed.iter().map(|admission| admission.active_sessions).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
    for admission in refused {
        assert_eq!((admission.concurrency, admission.active_sessions), (25, 25));
        assert_eq!(
            (admission.creates_per_minute, admission.window_creates),
            (1_000, 25)
        );
    }
    assert_eq!(counters(&database.superuser().await?).await?, (25, 25, 25));
    database.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_per_minute_are_exact_and_the_window_ends_after_a_minute() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    Tenant::worker(&database.store, "worker", 1_000).await?;
    let tenant = Tenant::create(&database.store, "tenant", 1_000, 40).await?;
    let (placed, refused) = split(race(&database.store, &[tenant.project], 120).await?);
    assert_eq!((placed.len(), refused.len()), (40, 80));
    for admission in refused {
        assert_eq!((admission.window_creates, admission.active_sessions), (40, 40));
        assert!(
            (50..=60).contains(&admission.window_resets_in.as_secs()),
            "{admission:?}"
        );
    }

    superuser
        .execute("UPDATE projects SET window_started_at = now() - interval '50 s'")
        .await?;
    let late = create(&database.store, tenant.project, &new_session()).await?;
    assert!(late.place().is_none());
    assert!((1..=10).contains(&late.window_resets_in.as_secs()), "{late:?}");

    superuser
        .execute("UPDATE projects SET window_started_at = now() - interval '60 s'")
        .await?;
    let (placed, refused) = split(race(&database.store, &[tenant.project], 120).await?);
    assert_eq!((placed.len(), refused.len()), (40, 80));
    database.close().await
}

/// A create's clock is its transaction's start: the window of another that got the row first may begin after it.
#[tokio::test]
async fn a_window_never_lasts_longer_than_a_minute() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    Tenant::worker(&database.store, "worker", 10).await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 1).await?;
    let mut first = superuser
        .begin_with("BEGIN; SELECT FROM projects FOR UPDATE")
        .await?;
    let new = new_session();
    let second = create(&database.store, tenant.project, &new);
    let first_wins = async {
        blocked(&superuser, 1).await?;
        first
            .execute("UPDATE projects SET window_started_at = clock_timestamp(), window_creates = 1")
            .await?;
        anyhow::Ok(first.commit().await?)
    };
    let (second, ()) = futures_util::future::try_join(second, first_wins).await?;
    assert!(second.place().is_none());
    assert_eq!(second.window_resets_in.as_secs(), 60);
    database.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_exact_over_several_workers_and_projects() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let mut projects = Vec::new();
    for name in ["a", "b", "c", "d"] {
        projects.push(Tenant::create(&database.store, name, 1_000, 1_000).await?.project);
    }
    for (name, slots) in [("small", 4), ("middle", 9), ("large", 17)] {
        Tenant::worker(&database.store, name, slots).await?;
    }
    let (placed, refused) = split(race(&database.store, &projects, 200).await?);
    assert_eq!(placed.len() + refused.len(), 200);
    assert!(
        refused.iter().all(|admission| admission.stored.is_some()),
        "they wait"
    );
    place_waiting(&database.store).await?;
    let exact: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM workers WHERE used_slots = slots
         AND slots = (SELECT count(*) FROM sessions WHERE worker_id = workers.id)",
    )
    .fetch_one(&superuser)
    .await?;
    assert_eq!(exact, 3);
    assert_eq!(counters(&superuser).await?, (200, 200, 30));
    database.close().await
}
