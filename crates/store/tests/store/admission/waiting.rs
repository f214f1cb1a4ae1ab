//! Sessions that wait for a slot get one in order, fair between projects, and lose nothing on the way.

use std::time::Duration;

use sqlx::Executor;
use wharf_domain::{EndReason, Generation, ProjectId, SessionId, SessionStatus, WorkerId};
use wharf_store::Store;
use wharf_store::sessions::{self, EventKind};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{SILENT_AFTER, create, end, end_own, get, new_session, place};

/// A session that waits, as every slot is taken.
async fn wait(store: &Store, project: ProjectId) -> anyhow::Result<SessionId> {
    let new = new_session();
    let stored = create(store, project, &new).await?.stored.expect("it may wait");
    assert_eq!(stored.place, None);
    Ok(new.id)
}

async fn waiting(store: &Store) -> anyhow::Result<Vec<SessionId>> {
    let mut transaction = store.system().await?;
    let waiting = sessions::waiting(&mut transaction).await?;
    transaction.commit().await?;
    Ok(waiting)
}

async fn try_to_place(store: &Store, id: SessionId) -> anyhow::Result<bool> {
    let mut transaction = store.system().await?;
    let placed = sessions::place(&mut transaction, id, SILENT_AFTER).await?;
    if placed {
        transaction.commit().await?;
    }
    Ok(placed)
}

async fn another_worker(
    store: &Store,
    id: SessionId,
    generation: Generation,
) -> anyhow::Result<Option<Generation>> {
    let mut transaction = store.system().await?;
    let within = Duration::from_secs(30);
    let next =
        sessions::wait_for_another_worker(&mut transaction, id, generation, SILENT_AFTER, within).await?;
    transaction.commit().await?;
    Ok(next)
}

async fn worker_of(store: &Store, project: ProjectId, id: SessionId) -> anyhow::Result<Option<WorkerId>> {
    let session = get(store, project, id).await?.expect("it exists");
    Ok(session.place.map(|place| place.worker))
}

#[tokio::test]
async fn nobody_waits_behind_anothers_crowd() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let crowd = Tenant::create(store, "crowd", 10, 10).await?.project;
    let single = Tenant::create(store, "single", 10, 10).await?.project;
    Tenant::worker(store, "worker", 1).await?;
    let first = place(store, crowd).await?;
    let crowded = [
        wait(store, crowd).await?,
        wait(store, crowd).await?,
        wait(store, crowd).await?,
    ];
    let alone = wait(store, single).await?;
    assert_eq!(waiting(store).await?, [alone, crowded[0], crowded[1], crowded[2]]);

    assert!(!try_to_place(store, alone).await?, "there is no slot yet");
    end_own(store, crowd, first).await?;
    assert!(try_to_place(store, alone).await?);
    assert!(!try_to_place(store, crowded[0]).await?, "the slot is taken");
    assert_eq!(waiting(store).await?, crowded);
    database.close().await
}

#[tokio::test]
async fn a_new_session_does_not_overtake_one_that_waits_even_of_another_project() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let first = Tenant::create(store, "first", 10, 10).await?.project;
    let second = Tenant::create(store, "second", 10, 10).await?.project;
    Tenant::worker(store, "worker", 1).await?;
    let holder = place(store, first).await?;
    let patient = wait(store, first).await?;
    end_own(store, first, holder).await?;
    let late = wait(store, second).await?;
    assert_eq!(waiting(store).await?, [patient, late]);
    // Whoever gave up stands in nobody's way.
    database
        .superuser()
        .await?
        .execute("UPDATE sessions SET wait_until = now() WHERE status = 'PENDING'")
        .await?;
    assert!(!try_to_place(store, patient).await?, "it waits no more");
    place(store, second).await?;
    database.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_goes_to_one_of_those_that_wait() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let project = Tenant::create(store, "tenant", 40, 40).await?.project;
    Tenant::worker(store, "worker", 3).await?;
    for _ in 0..3 {
        place(store, project).await?;
    }
    let mut waiters = Vec::new();
    for _ in 0..10 {
        waiters.push(wait(store, project).await?);
    }
    database
        .superuser()
        .await?
        .execute("UPDATE workers SET slots = 8")
        .await?;
    let tries = waiters.iter().map(|id| try_to_place(store, *id));
    let placed = futures_util::future::try_join_all(tries).await?;
    assert_eq!(placed.iter().filter(|placed| **placed).count(), 5);
    let counters: (i32, i64) = sqlx::query_as(
        "SELECT used_slots, (SELECT count(*) FROM sessions WHERE worker_id IS NOT NULL) FROM workers",
    )
    .fetch_one(&database.superuser().await?)
    .await?;
    assert_eq!(counters, (8, 8));
    database.close().await
}

#[tokio::test]
async fn a_waiting_session_ends_once_and_gives_back_what_it_held() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let project = Tenant::create(store, "tenant", 10, 10).await?.project;
    Tenant::worker(store, "worker", 1).await?;
    let holder = place(store, project).await?;
    let patient = wait(store, project).await?;
    for (id, ends) in [(holder, false), (patient, true), (patient, false)] {
        let mut transaction = store.system().await?;
        let ended = sessions::end_waiting(&mut transaction, id, EndReason::LaunchFailed).await?;
        transaction.commit().await?;
        assert_eq!(ended.is_some_and(|ended| ended.place.is_none()), ends);
    }
    let counters: (i32, i32) = sqlx::query_as("SELECT active_sessions, used_slots FROM projects, workers")
        .fetch_one(&database.superuser().await?)
        .await?;
    assert_eq!(counters, (1, 1));
    let session = get(store, project, patient).await?.unwrap();
    assert_eq!((session.status, session.started_at), (SessionStatus::Error, None));
    database.close().await
}

#[tokio::test]
async fn a_failed_launch_is_tried_on_another_worker_as_the_next_generation() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let project = Tenant::create(store, "tenant", 10, 10).await?.project;
    let workers = [
        Tenant::worker(store, "one", 4).await?,
        Tenant::worker(store, "two", 4).await?,
    ];
    let id = place(store, project).await?;
    let first = worker_of(store, project, id).await?.unwrap();

    let second = Generation(2);
    assert_eq!(another_worker(store, id, Generation::FIRST).await?, Some(second));
    assert_eq!(
        another_worker(store, id, Generation::FIRST).await?,
        None,
        "that launch is over"
    );
    assert_eq!(worker_of(store, project, id).await?, None);
    assert!(try_to_place(store, id).await?);
    let other = worker_of(store, project, id).await?.unwrap();
    assert!(workers.contains(&other) && other != first);
    assert_eq!(
        another_worker(store, id, second).await?,
        None,
        "no third worker is left"
    );
    // The first worker's late word changes nothing.
    assert_eq!(
        end(store, id, Generation::FIRST, EndReason::BrowserCrashed).await?,
        None
    );

    let used: Vec<i32> = sqlx::query_scalar("SELECT used_slots FROM workers ORDER BY used_slots")
        .fetch_all(&database.superuser().await?)
        .await?;
    assert_eq!(used, [0, 1]);
    let mut transaction = store.tenant(project).await?;
    let events = sessions::events(&mut transaction, id).await?;
    transaction.commit().await?;
    let kinds: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.generation.0))
        .collect();
    assert_eq!(
        kinds,
        [
            (EventKind::Placed, 1),
            (EventKind::Queued, 2),
            (EventKind::Placed, 2)
        ]
    );
    database.close().await
}
