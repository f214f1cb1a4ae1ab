//! What reconcilers and heartbeats ask.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor};
use wharf_domain::{Generation, Incarnation, Millis, SessionId, SessionStatus};
use wharf_store::sessions::{self, EventKind};
use wharf_store::{control_plane, reconcile_failures, workers};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{end_own, get, place, start};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_workers_word_starts_a_session_whose_creator_died() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let project = Tenant::create(store, "tenant", 10, 10).await?.project;
    let worker = Tenant::worker(store, "worker", 10).await?;
    let stranger = Tenant::worker(store, "stranger", 0).await?;
    let (pending, running, ended) = (
        place(store, project).await?,
        place(store, project).await?,
        place(store, project).await?,
    );
    assert!(start(store, project, running, Generation::FIRST).await?);
    end_own(store, project, ended).await?;
    let update =
        format!("UPDATE sessions SET created_at = created_at - interval '20 s' WHERE id = '{pending}'");
    database.superuser().await?.execute(AssertSqlSafe(update)).await?;
    let say = |generation| [pending, running, ended].map(|id| (id, Generation(generation), Millis(7_000)));
    for (speaker, generation, started) in [
        (stranger, 1, vec![]),
        (worker, 2, vec![]),
        (worker, 1, vec![pending]),
        (worker, 1, vec![]),
    ] {
        let mut transaction = store.system().await?;
        assert_eq!(
            sessions::start_reported(&mut transaction, speaker, &say(generation)).await?,
            started
        );
        transaction.commit().await?;
    }
    let session = get(store, project, pending).await?.unwrap();
    assert_eq!(session.status, SessionStatus::Running);
    let started_at = session.started_at.unwrap();
    assert_eq!((session.updated_at - started_at).num_milliseconds(), 7_000);
    assert_eq!((session.expires_at - started_at).num_seconds(), 3_600);
    assert!(
        !start(store, project, pending, Generation::FIRST).await?,
        "its creator comes too late"
    );
    let mut transaction = store.tenant(project).await?;
    let events = sessions::events(&mut transaction, pending).await?;
    transaction.commit().await?;
    let last = events.last().unwrap();
    assert_eq!(
        (last.kind, last.actor.as_str(), last.actor_id),
        (EventKind::Started, "worker", Some(worker.as_uuid()))
    );
    database.close().await
}

#[tokio::test]
async fn a_session_that_its_worker_does_not_report_is_found() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let project = Tenant::create(store, "tenant", 10, 10).await?.project;
    let worker = Tenant::worker(store, "worker", 10).await?;
    let mut ids: Vec<SessionId> = Vec::new();
    for _ in 0..3 {
        let id = place(store, project).await?;
        assert!(start(store, project, id, Generation::FIRST).await?);
        ids.push(id);
    }
    let (reported, ghost, young) = (ids[0], ids[1], ids[2]);
    let update = format!("UPDATE sessions SET updated_at = now() - interval '1 min' WHERE id <> '{young}'");
    database.superuser().await?.execute(AssertSqlSafe(update)).await?;
    let mut transaction = store.system().await?;
    let within = Duration::from_secs(20);
    for (incarnation, expected) in [(1, vec![ghost]), (2, vec![])] {
        let found = sessions::unreported(
            &mut transaction,
            worker,
            Incarnation(incarnation),
            &[reported],
            within,
        )
        .await?;
        let found: Vec<_> = found.into_iter().map(|session| session.id).collect();
        assert_eq!(found, expected);
    }
    transaction.commit().await?;
    database.close().await
}

#[tokio::test]
async fn after_a_time_without_a_look_nobody_may_judge_for_a_while() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let look = async || {
        let mut transaction = database.store.system().await?;
        let may_judge = control_plane::look(&mut transaction, Duration::from_secs(20), MINUTE).await?;
        transaction.commit().await?;
        anyhow::Ok(may_judge)
    };
    superuser
        .execute("UPDATE control_plane SET looked_at = now()")
        .await?;
    assert!(look().await?);
    superuser
        .execute("UPDATE control_plane SET looked_at = now() - interval '21 s'")
        .await?;
    assert!(!look().await?);
    assert!(!look().await?, "the amnesty lasts");
    superuser
        .execute("UPDATE control_plane SET amnesty_until = now()")
        .await?;
    assert!(look().await?);
    database.close().await
}

#[tokio::test]
async fn silence_is_counted_for_those_who_matter() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let project = Tenant::create(store, "tenant", 10, 10).await?.project;
    let holder = Tenant::worker(store, "holder", 10).await?;
    place(store, project).await?;
    let idle = Tenant::worker(store, "idle", 10).await?;
    let set = "UPDATE workers SET last_seen_at = now() - interval '90 s'";
    database.superuser().await?.execute(set).await?;
    for (within, expected) in [(MINUTE, vec![holder]), (2 * MINUTE, vec![holder, idle])] {
        let mut transaction = store.system().await?;
        let mut leases = workers::leases(&mut transaction, within).await?;
        transaction.commit().await?;
        leases.sort_by_key(|lease| lease.worker);
        let found: Vec<_> = leases.iter().map(|lease| lease.worker).collect();
        assert_eq!(found, expected);
        assert!(leases.iter().all(|lease| lease.silent_for.as_secs() == 90));
        assert_eq!(leases[0].holds_sessions, leases[0].worker == holder);
    }
    database.close().await
}

#[tokio::test]
async fn a_session_that_cannot_be_ended_is_parked_after_five_tries() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let store = &database.store;
    let project = Tenant::create(store, "tenant", 10, 10).await?.project;
    let worker = Tenant::worker(store, "worker", 10).await?;
    let (poisoned, other) = (place(store, project).await?, place(store, project).await?);
    for tries in 1..=5 {
        let mut transaction = store.system().await?;
        let found = sessions::of_workers(&mut transaction, &[worker]).await?;
        assert_eq!(found.len(), 2, "before try {tries}");
        assert_eq!(
            reconcile_failures::note(&mut transaction, poisoned, "it is broken").await?,
            tries
        );
        transaction.commit().await?;
    }
    let mut transaction = store.system().await?;
    let found = sessions::of_workers(&mut transaction, &[worker]).await?;
    assert_eq!(
        found.iter().map(|session| session.id).collect::<Vec<_>>(),
        [other]
    );
    assert_eq!(reconcile_failures::parked(&mut transaction).await?, 1);
    transaction.commit().await?;
    database.close().await
}
