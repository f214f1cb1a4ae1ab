//! Two tenants on the same few connections, at random.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use wharf_domain::{EndReason, Generation, ProjectId, SessionId};
use wharf_store::sessions::{self, SessionFilter};
use wharf_store::{Store, projects};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{Dice, connect, new_session};

const TASKS: usize = 8;
const OPERATIONS: usize = 400;

/// A tenant with ids of its own, and some of the other's.
struct Actor {
    store: Store,
    project: ProjectId,
    own: Vec<SessionId>,
    foreign: Arc<[SessionId]>,
    dice: Dice,
}

impl Actor {
    async fn act(&mut self) -> anyhow::Result<()> {
        let foreign = self.foreign[self.dice.below(self.foreign.len())];
        let own = self.own[self.dice.below(self.own.len())];
        let mut transaction = self.store.tenant(self.project).await?;
        let transaction_project = transaction.project();
        match self.dice.below(9) {
            0 => {
                let mut new = new_session();
                new.user_metadata = Some(json!({ "owner": self.project.to_string() }));
                sessions::create(&mut transaction, &new).await?;
                self.own.push(new.id);
            }
            1 => {
                let found = sessions::get(&mut transaction, own).await?;
                assert_eq!(found.map(|session| session.project), Some(self.project));
            }
            2 => assert_eq!(sessions::get(&mut transaction, foreign).await?, None),
            3 => assert_eq!(
                sessions::end_own(
                    &mut transaction,
                    foreign,
                    EndReason::Killed,
                    wharf_domain::Actor::ControlPlane
                )
                .await?,
                None
            ),
            4 => assert_eq!(
                sessions::start(&mut transaction, foreign, Generation::FIRST).await?,
                None
            ),
            5 => {
                let ended = sessions::end_own(
                    &mut transaction,
                    own,
                    EndReason::Released,
                    wharf_domain::Actor::ControlPlane,
                )
                .await?;
                assert!(ended.is_none_or(|ended| ended.project == self.project));
            }
            6 => {
                let project = projects::get(&mut transaction).await?;
                assert_eq!(project.map(|project| project.id), Some(self.project));
            }
            // Dropped with a statement done: rolled back by the pool.
            7 => {
                sessions::end_own(
                    &mut transaction,
                    own,
                    EndReason::Killed,
                    wharf_domain::Actor::ControlPlane,
                )
                .await?;
                return Ok(());
            }
            _ => self.list(&mut transaction).await?,
        }
        assert_eq!(transaction_project, self.project);
        Ok(transaction.commit().await?)
    }

    async fn list(&self, transaction: &mut wharf_store::TenantTransaction) -> anyhow::Result<()> {
        let metadata = [None, Some(json!({}))][self.dice.below(2)].clone();
        let filter = SessionFilter {
            metadata,
            ..SessionFilter::default()
        };
        let listed = sessions::list(transaction, &filter, 20).await?;
        assert!(!listed.is_empty());
        assert!(listed.iter().all(|session| session.project == self.project));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_on_four_connections_never_meet() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    Tenant::worker(&database.store, "worker", 100_000).await?;
    let mut tenants = Vec::new();
    for name in ["a", "b"] {
        let project = Tenant::create(&database.store, name, 100_000, 100_000)
            .await?
            .project;
        let mut ids = Vec::new();
        for _ in 0..5 {
            let mut new = new_session();
            new.user_metadata = Some(json!({ "owner": project.to_string() }));
            crate::fixture::create(&database.store, project, &new).await?;
            ids.push(new.id);
        }
        tenants.push((project, Arc::<[SessionId]>::from(ids)));
    }
    let store = connect(database.url(), 4).await?;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (project, own) = &tenants[task % 2];
        let mut actor = Actor {
            store: store.clone(),
            project: *project,
            own: own.to_vec(),
            foreign: Arc::clone(&tenants[(task + 1) % 2].1),
            dice: Dice::new(task as u64),
        };
        tasks.spawn(async move {
            for _ in 0..OPERATIONS {
                actor.act().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome??;
    }
    store.close().await;
    let misplaced: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sessions WHERE user_metadata->>'owner' <> project_id::text OR end_reason = 'killed'",
    )
    .fetch_one(&database.superuser().await?)
    .await?;
    assert_eq!(misplaced, 0);
    database.close().await
}
