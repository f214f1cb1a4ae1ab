//! Reports may come late, twice and in any order; what is counted does not change.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Executor};
use wharf_domain::{Bytes, Generation, Millis, Percent, ProjectId, SessionId, WorkerId};
use wharf_store::sessions::{self, UsageReport};
use wharf_store::{Store, projects};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{Dice, contents, get, place};

/// The numbers differ, so that no two columns can be taken for each other.
const fn report(session: SessionId, step: u64) -> UsageReport {
    UsageReport {
        session,
        generation: Generation::FIRST,
        running: Millis(1_000 * step),
        cpu: Millis(300 * step),
        memory: Bytes(7 * step),
        proxy: Bytes(11 * step),
        egress: Bytes(13 * step),
    }
}

async fn merge(store: &Store, worker: WorkerId, reports: &[UsageReport]) -> anyhow::Result<()> {
    let mut transaction = store.system().await?;
    sessions::merge_usage(&mut transaction, worker, reports).await?;
    Ok(transaction.commit().await?)
}

async fn used(
    store: &Store,
    project: ProjectId,
    id: SessionId,
) -> anyhow::Result<(Bytes, Percent, Bytes, Bytes)> {
    let session = get(store, project, id).await?.context("the session is there")?;
    Ok((
        session.memory,
        session.average_cpu,
        session.proxy_bytes,
        session.egress_bytes,
    ))
}

#[tokio::test]
async fn any_order_and_any_repetition_of_reports_give_the_same() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let worker = Tenant::worker(&database.store, "worker", 10).await?;
    let project = Tenant::create(&database.store, "tenant", 10, 10).await?.project;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(place(&database.store, project).await?);
    }
    for seed in 0..20 {
        superuser.execute("DELETE FROM session_usage").await?;
        let dice = Dice::new(seed);
        // Each report once, and half as many again a second time: also within one batch.
        let mut reports: Vec<_> = (1..=20)
            .flat_map(|step| ids.iter().map(move |id| report(*id, step)))
            .collect();
        dice.shuffle(&mut reports);
        reports.extend_from_within(..30);
        dice.shuffle(&mut reports);
        for batch in reports.chunks(1 + dice.below(20)) {
            merge(&database.store, worker, batch).await?;
        }
        for id in &ids {
            assert_eq!(
                used(&database.store, project, *id).await?,
                (Bytes(140), Percent(30), Bytes(220), Bytes(260)),
                "seed {seed}"
            );
        }
    }
    database.close().await
}

#[tokio::test]
async fn smaller_numbers_never_overwrite() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let worker = Tenant::worker(&database.store, "worker", 10).await?;
    let project = Tenant::create(&database.store, "tenant", 10, 10).await?.project;
    let id = place(&database.store, project).await?;
    merge(&database.store, worker, &[report(id, 10)]).await?;
    let mixed = UsageReport {
        memory: Bytes(1),
        proxy: Bytes(500),
        ..report(id, 10)
    };
    merge(&database.store, worker, &[mixed]).await?;
    // Only one number is larger.
    let direct = UsageReport {
        egress: Bytes(600),
        ..report(id, 1)
    };
    merge(&database.store, worker, &[direct]).await?;
    merge(&database.store, worker, &[report(id, 1)]).await?;
    assert_eq!(
        used(&database.store, project, id).await?,
        (Bytes(70), Percent(30), Bytes(500), Bytes(600))
    );
    database.close().await
}

#[tokio::test]
async fn a_report_of_a_session_that_the_worker_does_not_run_is_ignored() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let worker = Tenant::worker(&database.store, "worker", 10).await?;
    let other = Tenant::worker(&database.store, "other", 0).await?;
    let project = Tenant::create(&database.store, "tenant", 10, 10).await?.project;
    let id = place(&database.store, project).await?;
    merge(&database.store, other, &[report(id, 10)]).await?;
    assert_eq!(contents(&superuser, &["session_usage"]).await?, [""; 0]);

    merge(&database.store, worker, &[report(id, 1)]).await?;
    let before = contents(&superuser, &["session_usage"]).await?;
    let unknown = id.as_uuid().as_u128() ^ 1;
    let unknown = SessionId::from(sqlx::types::Uuid::from_u128(unknown));
    merge(&database.store, other, &[report(id, 10), report(unknown, 10)]).await?;
    merge(&database.store, worker, &[]).await?;
    assert_eq!(contents(&superuser, &["session_usage"]).await?, before);
    database.close().await
}

#[tokio::test]
async fn a_session_shows_the_usage_of_its_current_launch_and_its_project_pays_for_no_other()
-> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let worker = Tenant::worker(&database.store, "worker", 10).await?;
    let project = Tenant::create(&database.store, "tenant", 10, 10).await?.project;
    let id = place(&database.store, project).await?;
    merge(&database.store, worker, &[report(id, 10)]).await?;
    database
        .superuser()
        .await?
        .execute("UPDATE sessions SET generation = 2, status = 'RUNNING', started_at = date_trunc('month', now(), 'UTC')")
        .await?;
    let second = UsageReport {
        generation: Generation(2),
        ..report(id, 2)
    };
    merge(&database.store, worker, &[second]).await?;
    assert_eq!(
        used(&database.store, project, id).await?,
        (Bytes(14), Percent(30), Bytes(22), Bytes(26))
    );
    let mut transaction = database.store.tenant(project).await?;
    assert_eq!(projects::usage(&mut transaction).await?.proxy_bytes, Bytes(22));
    drop(transaction);
    database.close().await
}

/// Bills the session for so long, from so long after the first of the month.
async fn run_for(database: &TestDatabase, id: SessionId, offset: &str, length: &str) -> anyhow::Result<()> {
    let statement = format!(
        "UPDATE sessions SET status = 'COMPLETED', end_reason = 'released', ended_at = now() WHERE id = '{id}';
         INSERT INTO usage_ledger (session_id, generation, entry, project_id, started_at, browser_ms, cpu_ms, proxy_bytes)
         SELECT id, 1, 1, project_id, date_trunc('month', now(), 'UTC') + interval '{offset}',
             extract(epoch FROM interval '{length}') * 1000, 0, 110
         FROM sessions WHERE id = '{id}'"
    );
    database
        .superuser()
        .await?
        .execute(AssertSqlSafe(statement))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_projects_minutes_are_whole_and_of_this_month() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    Tenant::worker(&database.store, "worker", 20).await?;
    let project = Tenant::create(&database.store, "tenant", 10, 100).await?.project;
    let neighbour = Tenant::create(&database.store, "neighbour", 10, 100)
        .await?
        .project;
    let mut minutes = 0;
    let mut proxy_bytes = 0;
    for (offset, length, counted) in [
        ("0 s", "1 s", Some(1)),
        ("0 s", "60 s", Some(1)),
        ("10 s", "60.001 s", Some(2)),
        ("3 s", "0 s", Some(0)),
        ("1 s", "6 h", Some(360)),
        // It ends in this month, but started in the one before.
        ("-1 s", "2 h", None),
        ("-20 days", "100 s", None),
    ] {
        let id = place(&database.store, project).await?;
        run_for(&database, id, offset, length).await?;
        if let Some(counted) = counted {
            minutes += counted;
            proxy_bytes += 110;
        }
        let mut transaction = database.store.tenant(project).await?;
        let usage = projects::usage(&mut transaction).await?;
        assert_eq!(
            (usage.browser_minutes, usage.proxy_bytes),
            (minutes, Bytes(proxy_bytes)),
            "{offset}"
        );
    }
    // One that was never started, one that has just been, and one of somebody else.
    place(&database.store, project).await?;
    let running = place(&database.store, project).await?;
    crate::fixture::start(&database.store, project, running, Generation::FIRST).await?;
    let foreign = place(&database.store, neighbour).await?;
    run_for(&database, foreign, "0 s", "1 h").await?;
    let mut transaction = database.store.tenant(project).await?;
    assert_eq!(
        projects::usage(&mut transaction).await?.browser_minutes,
        minutes + 1
    );
    drop(transaction);
    database.close().await
}
