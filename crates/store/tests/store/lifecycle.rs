//! A session starts once and ends once, and only the launch that is meant.

use sqlx::{AssertSqlSafe, Executor};
use wharf_domain::{EndReason, Generation, Incarnation, Region, SessionId, SessionStatus, SessionTimeout};
use wharf_store::sessions::{self, LiveSession};
use wharf_store::workers::{self, Registration};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{contents, create, end, end_own, get, new_session, place, start};

const SECOND: Generation = Generation(2);

async fn update(database: &TestDatabase, id: SessionId, set: &str) -> anyhow::Result<()> {
    let statement = format!("UPDATE sessions SET {set} WHERE id = '{id}'");
    database
        .superuser()
        .await?
        .execute(AssertSqlSafe(statement))
        .await?;
    Ok(())
}

async fn tenant(database: &TestDatabase) -> anyhow::Result<Tenant> {
    Tenant::worker(&database.store, "worker", 10).await?;
    Tenant::create(&database.store, "tenant", 10, 10).await
}

#[tokio::test]
async fn the_clock_of_a_session_starts_with_its_browser() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = tenant(&database).await?;
    let mut new = new_session();
    new.timeout = Some(SessionTimeout::try_from(90)?);
    create(&database.store, tenant.project, &new).await?;
    // Its browser takes half a minute: that is none of the caller's 90 s.
    let earlier = "created_at = created_at - interval '30 s', expires_at = expires_at - interval '30 s'";
    update(&database, new.id, earlier).await?;
    assert!(start(&database.store, tenant.project, new.id, Generation::FIRST).await?);
    let session = get(&database.store, tenant.project, new.id).await?.unwrap();
    let started_at = session.started_at.unwrap();
    assert_eq!(session.status, SessionStatus::Running);
    assert_eq!((session.expires_at - started_at).num_milliseconds(), 90_000);
    assert!((started_at - session.created_at).num_seconds() >= 30);
    assert_eq!(session.updated_at, started_at);
    assert!(
        !start(&database.store, tenant.project, new.id, Generation::FIRST).await?,
        "it runs already"
    );
    assert_eq!(get(&database.store, tenant.project, new.id).await?, Some(session));
    database.close().await
}

#[tokio::test]
async fn only_the_current_launch_starts_or_ends_a_session() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = tenant(&database).await?;
    let id = place(&database.store, tenant.project).await?;
    update(&database, id, "generation = 2").await?;
    let before = contents(&database.superuser().await?, &["sessions", "projects", "workers"]).await?;
    for other in [Generation::FIRST, Generation(3)] {
        assert!(!start(&database.store, tenant.project, id, other).await?);
        assert_eq!(
            end(&database.store, id, other, EndReason::BrowserCrashed).await?,
            None
        );
    }
    let after = contents(&database.superuser().await?, &["sessions", "projects", "workers"]).await?;
    assert_eq!(after, before);
    assert!(start(&database.store, tenant.project, id, SECOND).await?);
    let ended = end(&database.store, id, SECOND, EndReason::BrowserCrashed)
        .await?
        .unwrap();
    assert_eq!((ended.project, ended.generation), (tenant.project, SECOND));
    database.close().await
}

#[tokio::test]
async fn a_session_ends_once_and_the_first_reason_stays() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = tenant(&database).await?;
    for reason in EndReason::ALL {
        let id = place(&database.store, tenant.project).await?;
        let ended = end(&database.store, id, Generation::FIRST, reason)
            .await?
            .unwrap();
        let session = get(&database.store, tenant.project, id).await?.unwrap();
        assert_eq!(
            (session.status, session.end_reason),
            (reason.status(), Some(reason))
        );
        assert_eq!(ended.place, session.place);
        let before = contents(&database.superuser().await?, &["sessions", "projects", "workers"]).await?;

        assert_eq!(
            end(&database.store, id, Generation::FIRST, EndReason::Timeout).await?,
            None
        );
        assert_eq!(end_own(&database.store, tenant.project, id).await?, None);
        assert!(!start(&database.store, tenant.project, id, Generation::FIRST).await?);
        let after = contents(&database.superuser().await?, &["sessions", "projects", "workers"]).await?;
        assert_eq!(after, before, "{reason}");
    }
    database.close().await
}

#[tokio::test]
async fn a_worker_ends_only_what_it_runs() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    let runner = Tenant::worker(&database.store, "runner", 1).await?;
    let id = place(&database.store, tenant.project).await?;
    let stranger = Tenant::worker(&database.store, "stranger", 1).await?;
    for (worker, ends) in [(stranger, false), (runner, true)] {
        let mut transaction = database.store.system().await?;
        let reason = EndReason::Disconnected;
        let ended = sessions::end_reported(&mut transaction, worker, id, Generation::FIRST, reason).await?;
        transaction.commit().await?;
        assert_eq!(ended.is_some(), ends, "{worker}, while {runner} runs it");
    }
    database.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_ends_at_once_one_counts() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = tenant(&database).await?;
    let kept = place(&database.store, tenant.project).await?;
    for _ in 0..5 {
        let id = place(&database.store, tenant.project).await?;
        let ends = futures_util::future::try_join_all(
            EndReason::ALL.map(|reason| end(&database.store, id, Generation::FIRST, reason)),
        );
        assert_eq!(ends.await?.into_iter().flatten().count(), 1);
    }
    let counters: (i32, i32) = sqlx::query_as("SELECT active_sessions, used_slots FROM projects, workers")
        .fetch_one(&database.superuser().await?)
        .await?;
    assert_eq!(counters, (1, 1));
    assert!(
        get(&database.store, tenant.project, kept)
            .await?
            .unwrap()
            .ended_at
            .is_none()
    );
    database.close().await
}

#[tokio::test]
async fn a_new_incarnation_begins_with_every_slot_free_and_keeps_them() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let tenant = tenant(&database).await?;
    let other = Tenant::worker(&database.store, "other", 0).await?;
    let old = [
        place(&database.store, tenant.project).await?,
        place(&database.store, tenant.project).await?,
    ];
    let ended = place(&database.store, tenant.project).await?;
    end_own(&database.store, tenant.project, ended).await?;

    let id = get(&database.store, tenant.project, old[0])
        .await?
        .unwrap()
        .place
        .unwrap()
        .worker;
    assert_ne!(id, other);
    let mut transaction = database.store.system().await?;
    let registration = Registration {
        id,
        address: "10.0.0.2:1",
        regions: &Region::ALL,
        slots: 4,
        process: None,
    };
    assert_eq!(
        workers::register(&mut transaction, registration).await?,
        Incarnation(2)
    );
    assert!(
        workers::renew(&mut transaction, id, Incarnation(1), false)
            .await?
            .is_none(),
        "the old process must stop"
    );
    assert!(
        workers::renew(&mut transaction, id, Incarnation(2), false)
            .await?
            .is_some()
    );
    transaction.commit().await?;
    let new = place(&database.store, tenant.project).await?;

    let mut transaction = database.store.system().await?;
    let mut lost = sessions::of_replaced_workers(&mut transaction).await?;
    transaction.commit().await?;
    lost.sort_by_key(|session| session.id);
    let mut expected = old.map(|id| LiveSession {
        id,
        generation: Generation::FIRST,
    });
    expected.sort_by_key(|session| session.id);
    assert_eq!(lost, expected);
    for session in lost {
        let ended = end(
            &database.store,
            session.id,
            session.generation,
            EndReason::WorkerLost,
        )
        .await?;
        assert_eq!(
            ended.and_then(|ended| Some(ended.place?.incarnation)),
            Some(Incarnation(1))
        );
    }
    let used = "SELECT active_sessions, used_slots FROM projects, workers WHERE slots > 0";
    let counters: (i32, i32) = sqlx::query_as(used).fetch_one(&superuser).await?;
    assert_eq!(
        counters,
        (1, 1),
        "the slots of the first incarnation are not given back twice"
    );
    end_own(&database.store, tenant.project, new).await?;
    let counters: (i32, i32) = sqlx::query_as(used).fetch_one(&superuser).await?;
    assert_eq!(counters, (0, 0));
    database.close().await
}

/// The first call may be answered long after the second, by an api that was paused.
#[tokio::test]
async fn registering_twice_is_one_start_and_keeps_the_slots() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    let id = Tenant::worker(&database.store, "worker", 10).await?;
    for (process, incarnation, places, used) in [(7, 2, true, 1), (7, 2, false, 1), (8, 3, false, 0)] {
        let mut transaction = database.store.system().await?;
        let registration = Registration {
            id,
            address: "10.0.0.2:1",
            regions: &Region::ALL,
            slots: 10,
            process: Some(process),
        };
        let registered = workers::register(&mut transaction, registration).await?;
        transaction.commit().await?;
        assert_eq!(registered, Incarnation(incarnation), "process {process}");
        if places {
            place(&database.store, tenant.project).await?;
        }
        let slots: i32 = sqlx::query_scalar("SELECT used_slots FROM workers")
            .fetch_one(&database.superuser().await?)
            .await?;
        assert_eq!(slots, used, "process {process}");
    }
    database.close().await
}

#[tokio::test]
async fn overdue_finds_what_should_have_ended_and_nothing_else() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = tenant(&database).await?;
    let seconds_ago = |column: &str, seconds: i32| format!("{column} = now() - interval '{seconds} s'");
    let mut expected = Vec::new();
    // Grace 15 s, launch 30 s.
    for (running, column, seconds, reason) in [
        (true, "expires_at", 20, Some(EndReason::Timeout)),
        (true, "expires_at", 5, None),
        (true, "created_at", 3_000, None),
        (false, "created_at", 40, Some(EndReason::LaunchFailed)),
        (false, "created_at", 20, None),
        (false, "expires_at", 100, None),
    ] {
        let id = place(&database.store, tenant.project).await?;
        if running {
            assert!(start(&database.store, tenant.project, id, Generation::FIRST).await?);
        }
        update(&database, id, &seconds_ago(column, seconds)).await?;
        expected.extend(reason.map(|reason| {
            (
                LiveSession {
                    id,
                    generation: Generation::FIRST,
                },
                reason,
            )
        }));
    }
    let ended = place(&database.store, tenant.project).await?;
    end_own(&database.store, tenant.project, ended).await?;
    let long_ago = "created_at = '2020-01-01', expires_at = '2020-01-01'";
    update(&database, ended, long_ago).await?;

    let mut transaction = database.store.system().await?;
    let mut overdue = sessions::overdue(&mut transaction, 15.0, 30.0).await?;
    overdue.sort_by_key(|(session, _)| session.id);
    expected.sort_by_key(|(session, _)| session.id);
    assert_eq!(overdue, expected);
    let ids = [expected[0].0.id, ended];
    assert_eq!(
        sessions::find_live(&mut transaction, &ids).await?,
        [expected[0].0]
    );
    drop(transaction);
    database.close().await
}
