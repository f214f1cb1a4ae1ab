//! What is billed: once, exactly, and never more than was reported.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Executor};
use wharf_domain::{Bytes, EndReason, Generation, Millis, ProjectId, SessionId, WorkerId};
use wharf_store::sessions::{self, UsageReport};
use wharf_store::{Store, projects};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{contents, end, end_own, get, place, start};

struct Scene {
    database: TestDatabase,
    project: ProjectId,
    worker: WorkerId,
}

/// What the ledger has of a session: entries, and the sums of time in ms, CPU time in ms and bytes.
type Billed = (i64, i64, i64, i64);

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let database = TestDatabase::new().await?;
        let worker = Tenant::worker(&database.store, "worker", 10).await?;
        let project = Tenant::create(&database.store, "tenant", 10, 100).await?.project;
        Ok(Self {
            database,
            project,
            worker,
        })
    }

    fn store(&self) -> &Store {
        &self.database.store
    }

    /// A session that has run for so long.
    async fn running(&self, seconds: u32) -> anyhow::Result<SessionId> {
        let id = place(self.store(), self.project).await?;
        assert!(start(self.store(), self.project, id, Generation::FIRST).await?);
        let earlier =
            format!("UPDATE sessions SET started_at = started_at - interval '{seconds} s' WHERE id = '{id}'");
        self.database
            .superuser()
            .await?
            .execute(AssertSqlSafe(earlier))
            .await?;
        Ok(id)
    }

    async fn report(&self, id: SessionId, running: u64, used: u64) -> anyhow::Result<()> {
        let report = UsageReport {
            session: id,
            generation: Generation::FIRST,
            running: Millis(running),
            cpu: Millis(used),
            memory: Bytes(used),
            proxy: Bytes(10 * used),
            egress: Bytes(20 * used),
        };
        let mut transaction = self.store().system().await?;
        sessions::merge_usage(&mut transaction, self.worker, &[report]).await?;
        Ok(transaction.commit().await?)
    }

    async fn billed(&self, id: SessionId) -> anyhow::Result<Billed> {
        let sums = "SELECT count(*), coalesce(sum(browser_ms), 0)::bigint, coalesce(sum(cpu_ms), 0)::bigint,
                           coalesce(sum(proxy_bytes), 0)::bigint FROM usage_ledger WHERE session_id = $1";
        let query = sqlx::query_as(sums).bind(id.as_uuid());
        Ok(query.fetch_one(&self.database.superuser().await?).await?)
    }

    /// Its length by its own times, in ms.
    async fn length(&self, id: SessionId) -> anyhow::Result<i64> {
        let session = get(self.store(), self.project, id).await?.context("it exists")?;
        let ended_at = session.ended_at.context("it has ended")?;
        Ok((ended_at - session.started_at.context("it ran")?).num_milliseconds())
    }
}

#[tokio::test]
async fn a_released_session_is_billed_from_its_start_to_its_end() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let id = scene.running(90).await?;
    scene.report(id, 88_000, 5).await?;
    assert_eq!(scene.billed(id).await?, (0, 0, 0, 0), "not before its end");
    end_own(scene.store(), scene.project, id).await?;
    let (entries, time, cpu, proxy) = scene.billed(id).await?;
    assert_eq!((entries, cpu, proxy), (1, 5, 50));
    assert!(
        (time - scene.length(id).await?).abs() <= 1 && time >= 90_000,
        "{time}"
    );
    scene.database.close().await
}

#[tokio::test]
async fn what_is_reported_after_the_end_is_added_and_takes_no_time() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let id = scene.running(90).await?;
    scene.report(id, 88_000, 5).await?;
    end_own(scene.store(), scene.project, id).await?;
    let (_, time, ..) = scene.billed(id).await?;
    scene.report(id, 95_000, 9).await?;
    assert_eq!(scene.billed(id).await?, (2, time, 9, 90));

    let superuser = scene.database.superuser().await?;
    let tables = ["usage_ledger", "session_usage", "sessions"];
    let before = contents(&superuser, &tables).await?;
    for (running, used) in [(95_000, 9), (88_000, 5), (1, 1)] {
        scene.report(id, running, used).await?;
    }
    assert_eq!(
        contents(&superuser, &tables).await?,
        before,
        "a replay changes no row"
    );
    scene.database.close().await
}

#[tokio::test]
async fn a_lost_worker_is_billed_up_to_its_last_report() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let reported = scene.running(90).await?;
    scene.report(reported, 30_000, 5).await?;
    let silent = scene.running(90).await?;
    for (id, expected) in [(reported, 30_000), (silent, 0)] {
        end(scene.store(), id, Generation::FIRST, EndReason::WorkerLost).await?;
        assert_eq!(scene.length(id).await?, expected);
        assert_eq!(scene.billed(id).await?.1, expected);
    }
    scene.database.close().await
}

#[tokio::test]
async fn an_end_that_was_long_under_way_counts_from_when_it_happened() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let id = scene.running(300).await?;
    scene.report(id, 60_000, 5).await?;
    let mut transaction = scene.store().system().await?;
    let reason = EndReason::Disconnected;
    sessions::end_reported(&mut transaction, scene.worker, id, Generation::FIRST, reason).await?;
    transaction.commit().await?;
    assert_eq!(scene.length(id).await?, 60_000);
    scene.database.close().await
}

#[tokio::test]
async fn a_session_that_never_ran_costs_nothing() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let id = place(scene.store(), scene.project).await?;
    end_own(scene.store(), scene.project, id).await?;
    assert_eq!(scene.billed(id).await?.0, 0);
    scene.database.close().await
}

#[tokio::test]
async fn a_projects_usage_is_its_ledger_and_what_runs() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let ended = scene.running(61).await?;
    scene.report(ended, 61_000, 5).await?;
    end_own(scene.store(), scene.project, ended).await?;
    scene.report(ended, 61_500, 6).await?;
    let running = scene.running(10).await?;
    scene.report(running, 10_000, 1).await?;
    let mut transaction = scene.store().tenant(scene.project).await?;
    let usage = projects::usage(&mut transaction).await?;
    transaction.commit().await?;
    assert_eq!((usage.browser_minutes, usage.proxy_bytes), (3, Bytes(70)));
    scene.database.close().await
}

#[tokio::test]
async fn nobody_may_change_what_is_billed() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let superuser = scene.database.superuser().await?;
    for role in ["wharf_tenant", "wharf_system"] {
        for statement in [
            "UPDATE usage_ledger SET browser_ms = 0",
            "DELETE FROM usage_ledger",
            "DELETE FROM session_events",
        ] {
            let mut transaction = crate::fixture::raw(&superuser, role, Some(scene.project)).await?;
            let refused = transaction.execute(statement).await.unwrap_err().to_string();
            assert!(
                refused.contains("permission denied"),
                "{role}: {statement}: {refused}"
            );
        }
    }
    scene.database.close().await
}
