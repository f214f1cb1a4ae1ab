//! Which create calls are the same call.

use std::time::Duration;

use sqlx::Executor;
use wharf_domain::{ApiKeyId, EndReason, Generation, ProjectId, SessionId, SystemClock, SystemEntropy};
use wharf_store::Store;
use wharf_store::session_creations::{self, Claim, Creation};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{end, place};

const BODY: [u8; 32] = [7; 32];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Scene {
    database: TestDatabase,
    project: ProjectId,
    key: ApiKeyId,
}

impl Scene {
    async fn new() -> anyhow::Result<Self> {
        let database = TestDatabase::new().await?;
        Tenant::worker(&database.store, "worker", 10).await?;
        let project = Tenant::create(&database.store, "tenant", 10, 100).await?.project;
        let key = ApiKeyId::mint(&SystemClock, &SystemEntropy);
        Ok(Self {
            database,
            project,
            key,
        })
    }

    fn store(&self) -> &Store {
        &self.database.store
    }

    /// A session whose create call is noted.
    async fn session(&self, idempotency_key: Option<&str>, retry_count: i32) -> anyhow::Result<SessionId> {
        let session = place(self.store(), self.project).await?;
        assert!(self.claim(session, idempotency_key, retry_count).await?);
        Ok(session)
    }

    async fn claim(
        &self,
        session: SessionId,
        idempotency_key: Option<&str>,
        retry_count: i32,
    ) -> anyhow::Result<bool> {
        let mut transaction = self.store().tenant(self.project).await?;
        let (api_key, body_hash) = (self.key, &BODY);
        let creation = Creation {
            session,
            api_key,
            idempotency_key,
            body_hash,
            retry_count,
        };
        let claimed = session_creations::claim(&mut transaction, creation, DAY).await?;
        transaction.commit().await?;
        Ok(claimed)
    }

    async fn adopt(
        &self,
        key: ApiKeyId,
        body: &[u8; 32],
        retry_count: i32,
    ) -> anyhow::Result<Option<SessionId>> {
        let mut transaction = self.store().tenant(self.project).await?;
        let within = Duration::from_secs(120);
        let session = session_creations::adopt(&mut transaction, key, body, retry_count, within).await?;
        transaction.commit().await?;
        Ok(session)
    }

    async fn deliver(&self, answers: &[(SessionId, bool)]) -> anyhow::Result<()> {
        let mut transaction = self.store().system().await?;
        session_creations::deliver(&mut transaction, answers).await?;
        Ok(transaction.commit().await?)
    }

    async fn age(&self, seconds: u32) -> anyhow::Result<()> {
        let statement =
            format!("UPDATE session_creations SET created_at = created_at - interval '{seconds} s'");
        self.database
            .superuser()
            .await?
            .execute(sqlx::AssertSqlSafe(statement))
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_key_belongs_to_one_call_for_a_day() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let first = scene.session(Some("job"), 0).await?;
    let second = place(scene.store(), scene.project).await?;
    assert!(!scene.claim(second, Some("job"), 0).await?);
    let mut transaction = scene.store().tenant(scene.project).await?;
    let claim = session_creations::keyed(&mut transaction, "job").await?;
    transaction.commit().await?;
    assert_eq!(
        claim,
        Some(Claim {
            session: first,
            body_hash: BODY.to_vec()
        })
    );
    scene.age(86_400).await?;
    assert!(
        scene.claim(second, Some("job"), 0).await?,
        "after a day it is free"
    );
    scene.database.close().await
}

#[tokio::test]
async fn a_key_is_free_again_when_its_launch_failed() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    for (reason, free) in [(EndReason::Released, false), (EndReason::LaunchFailed, true)] {
        let first = scene.session(Some(reason.name()), 0).await?;
        end(scene.store(), first, Generation::FIRST, reason).await?;
        let second = place(scene.store(), scene.project).await?;
        assert_eq!(
            scene.claim(second, Some(reason.name()), 0).await?,
            free,
            "{reason}"
        );
    }
    scene.database.close().await
}

#[tokio::test]
async fn a_retry_gets_the_session_whose_answer_was_lost_and_no_other() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let stranger = ApiKeyId::mint(&SystemClock, &SystemEntropy);
    let session = scene.session(None, 0).await?;
    assert_eq!(scene.adopt(stranger, &BODY, 1).await?, None, "another key");
    assert_eq!(scene.adopt(scene.key, &[8; 32], 1).await?, None, "another body");
    assert_eq!(scene.adopt(scene.key, &BODY, 0).await?, None, "a first call");
    assert_eq!(scene.adopt(scene.key, &BODY, 1).await?, Some(session));
    assert_eq!(
        scene.adopt(scene.key, &BODY, 1).await?,
        None,
        "it was another's first retry"
    );
    assert_eq!(
        scene.adopt(scene.key, &BODY, 2).await?,
        Some(session),
        "that answer was lost as well"
    );
    scene.database.close().await
}

#[tokio::test]
async fn a_delivered_answer_is_nobodys_retry_unless_it_turns_out_lost() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let session = scene.session(None, 0).await?;
    scene.deliver(&[(session, true)]).await?;
    assert_eq!(scene.adopt(scene.key, &BODY, 1).await?, None);
    scene.deliver(&[(session, false)]).await?;
    assert_eq!(scene.adopt(scene.key, &BODY, 1).await?, Some(session));
    scene.database.close().await
}

#[tokio::test]
async fn what_is_old_has_ended_or_has_a_key_is_not_adopted() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.session(Some("job"), 0).await?;
    let ended = scene.session(None, 0).await?;
    end(scene.store(), ended, Generation::FIRST, EndReason::LaunchFailed).await?;
    assert_eq!(scene.adopt(scene.key, &BODY, 1).await?, None);
    let session = scene.session(None, 0).await?;
    scene.age(120).await?;
    assert_eq!(
        scene.adopt(scene.key, &BODY, 1).await?,
        None,
        "two minutes have passed"
    );
    let other = scene.session(None, 0).await?;
    assert_eq!(
        scene.adopt(scene.key, &BODY, 1).await?,
        Some(other),
        "not {session}"
    );
    scene.database.close().await
}

/// Two clients with the same body lose their answers at once: each gets one of the two sessions.
#[tokio::test(flavor = "multi_thread")]
async fn two_retries_at_once_do_not_get_the_same_session() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let mut sessions = vec![scene.session(None, 0).await?, scene.session(None, 0).await?];
    let retries = [
        scene.adopt(scene.key, &BODY, 1),
        scene.adopt(scene.key, &BODY, 1),
        scene.adopt(scene.key, &BODY, 1),
    ];
    let mut adopted: Vec<_> = futures_util::future::try_join_all(retries)
        .await?
        .into_iter()
        .flatten()
        .collect();
    sessions.sort();
    adopted.sort();
    assert_eq!(adopted, sessions);
    scene.database.close().await
}

#[tokio::test]
async fn old_calls_are_forgotten() -> anyhow::Result<()> {
    let scene = Scene::new().await?;
    scene.session(Some("old"), 0).await?;
    scene.age(86_401).await?;
    scene.session(Some("new"), 0).await?;
    let mut transaction = scene.store().system().await?;
    assert_eq!(session_creations::purge(&mut transaction, DAY).await?, 1);
    assert_eq!(session_creations::purge(&mut transaction, DAY).await?, 0);
    transaction.commit().await?;
    scene.database.close().await
}
