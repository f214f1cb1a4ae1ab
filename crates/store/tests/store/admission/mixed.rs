//! Creates, ends and heartbeats at once and at random: at the end the counters are what counting gives.

use std::sync::{Arc, Mutex, MutexGuard};

use sqlx::PgPool;
use tokio::task::JoinSet;
use wharf_domain::{Bytes, EndReason, Generation, Incarnation, Millis, ProjectId, SessionId, WorkerId};
use wharf_store::sessions::{self, UsageReport};
use wharf_store::{Store, StoreError, workers};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{Dice, create, end, end_own, new_session, place_waiting, start};

const TASKS: usize = 16;
const OPERATIONS: usize = 60;

/// A session that was placed, perhaps ended since.
#[derive(Clone, Copy)]
struct Placed {
    id: SessionId,
    project: ProjectId,
    worker: Option<WorkerId>,
}

struct Actor {
    store: Store,
    projects: Arc<[ProjectId]>,
    workers: Arc<[WorkerId]>,
    placed: Arc<Mutex<Vec<Placed>>>,
    dice: Dice,
}

impl Actor {
    async fn act(&self) -> anyhow::Result<()> {
        match self.dice.below(10) {
            0..=4 => {
                let project = self.projects[self.dice.below(self.projects.len())];
                let new = new_session();
                let admission = create(&self.store, project, &new).await?;
                if admission.stored.is_some() {
                    let (id, worker) = (new.id, admission.place().map(|place| place.worker));
                    self.placed().push(Placed { id, project, worker });
                }
            }
            5 if self.dice.below(2) == 0 => drop(place_waiting(&self.store).await?),
            5 => self.heartbeat().await?,
            operation => {
                let Some(Placed { id, project, .. }) = self.any() else {
                    return Ok(());
                };
                match operation {
                    6 => drop(start(&self.store, project, id, Generation::FIRST).await?),
                    7 | 8 => drop(end_own(&self.store, project, id).await?),
                    _ => drop(end(&self.store, id, Generation::FIRST, EndReason::Timeout).await?),
                }
            }
        }
        Ok(())
    }

    fn placed(&self) -> MutexGuard<'_, Vec<Placed>> {
        self.placed.lock().expect("no holder of this lock panics")
    }

    fn any(&self) -> Option<Placed> {
        let placed = self.placed();
        (!placed.is_empty()).then(|| placed[self.dice.below(placed.len())])
    }

    /// What the control plane does with one: the lease and the usage in one transaction.
    async fn heartbeat(&self) -> anyhow::Result<()> {
        let worker = self.workers[self.dice.below(self.workers.len())];
        let reports: Vec<_> = {
            let placed = self.placed();
            let own = placed.iter().filter(|placed| placed.worker == Some(worker));
            own.map(|placed| report(placed.id)).collect()
        };
        let mut transaction = self.store.system().await?;
        assert!(
            workers::renew(&mut transaction, worker, Incarnation(1), false)
                .await?
                .is_some()
        );
        sessions::merge_usage(&mut transaction, worker, &reports).await?;
        Ok(transaction.commit().await?)
    }
}

const fn report(session: SessionId) -> UsageReport {
    UsageReport {
        session,
        generation: Generation::FIRST,
        running: Millis(1),
        cpu: Millis(1),
        memory: Bytes(1),
        proxy: Bytes(1),
        egress: Bytes(1),
    }
}

/// Sessions, live ones, and the rows whose counter is not what counting gives.
async fn count(superuser: &PgPool) -> anyhow::Result<(i64, i64, i64)> {
    Ok(sqlx::query_as(
        "WITH live AS (SELECT * FROM sessions WHERE status IN ('PENDING', 'RUNNING'))
         SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM live),
             (SELECT count(*) FROM projects
              WHERE active_sessions <> (SELECT count(*) FROM live WHERE project_id = projects.id)
                 OR active_sessions > concurrency)
           + (SELECT count(*) FROM workers
              WHERE used_slots <> (SELECT count(*) FROM live WHERE worker_id = workers.id) OR used_slots > slots)",
    )
    .fetch_one(superuser)
    .await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_stay_exact_under_a_random_mix() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let (mut projects, mut workers) = (Vec::new(), Vec::new());
    for (name, concurrency) in [("a", 3), ("b", 7), ("c", 12), ("d", 20), ("e", 40)] {
        projects.push(
            Tenant::create(&database.store, name, concurrency, 100_000)
                .await?
                .project,
        );
    }
    for (name, slots) in [("one", 2), ("two", 5), ("three", 6), ("four", 9)] {
        workers.push(Tenant::worker(&database.store, name, slots).await?);
    }
    let (projects, workers) = (Arc::from(projects), Arc::from(workers));
    let placed = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let actor = Actor {
            store: database.store.clone(),
            projects: Arc::clone(&projects),
            workers: Arc::clone(&workers),
            placed: Arc::clone(&placed),
            dice: Dice::new(task as u64),
        };
        tasks.spawn(async move {
            for _ in 0..OPERATIONS {
                match actor.act().await {
                    // Whoever runs into this does it again, or leaves it to a reconciler; nothing of it was kept.
                    Err(error) if matches!(error.downcast_ref(), Some(StoreError::Undone(_))) => {}
                    done => done?,
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome??;
    }
    let superuser = database.superuser().await?;
    let (all, live, wrong) = count(&superuser).await?;
    assert_eq!(wrong, 0);
    assert!(
        all > live && live > 0,
        "{all} sessions, {live} live: the mix is none"
    );

    let placed = placed.lock().unwrap().clone();
    for Placed { id, project, .. } in placed {
        end_own(&database.store, project, id).await?;
    }
    assert_eq!(count(&superuser).await?, (all, 0, 0));
    database.close().await
}
