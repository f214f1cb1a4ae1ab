//! What the tests share: sessions with nothing special about them, and a way past the store.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tokio::time::{interval, timeout};
use wharf_domain::{
    Actor, ApiKeyId, EndReason, Entropy, Generation, ProjectId, Region, SeededEntropy, SessionId,
    SystemClock, SystemEntropy,
};
use wharf_store::sessions::{self, Admission, Ended, NewSession, Session};
use wharf_store::{Store, StoreError, StoreOptions};

/// A worker gets no session when it has been silent for this long.
pub const SILENT_AFTER: Duration = Duration::from_secs(10);

/// Far longer than anything here takes: it ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn new_session() -> NewSession {
    NewSession {
        id: SessionId::mint(&SystemClock, &SystemEntropy),
        api_key: ApiKeyId::mint(&SystemClock, &SystemEntropy),
        region: Region::UsWest2,
        timeout: None,
        keep_alive: false,
        user_metadata: None,
        options: json!({}),
        silent_after: SILENT_AFTER,
        wait_within: Duration::from_secs(10),
        lost_after: Duration::from_secs(60),
    }
}

pub async fn connect(url: &str, max_connections: u32) -> anyhow::Result<Store> {
    let url = url.to_owned();
    Ok(Store::connect(&StoreOptions { url, max_connections }).await?)
}

/// Creates as the control plane does: what Postgres undid in favour of another transaction is done again.
pub async fn create(store: &Store, project: ProjectId, new: &NewSession) -> anyhow::Result<Admission> {
    loop {
        let mut transaction = store.tenant(project).await?;
        match sessions::create(&mut transaction, new).await {
            Err(StoreError::Undone(_)) => {}
            admission => {
                let admission = admission?;
                transaction.commit().await?;
                return admission.context("the project exists");
            }
        }
    }
}

/// Creates a session that nothing stands against.
pub async fn place(store: &Store, project: ProjectId) -> anyhow::Result<SessionId> {
    let new = new_session();
    let admission = create(store, project, &new).await?;
    admission.place().context("there is a free place")?;
    Ok(new.id)
}

pub async fn get(store: &Store, project: ProjectId, id: SessionId) -> anyhow::Result<Option<Session>> {
    let mut transaction = store.tenant(project).await?;
    let session = sessions::get(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(session)
}

pub async fn start(
    store: &Store,
    project: ProjectId,
    id: SessionId,
    generation: Generation,
) -> anyhow::Result<bool> {
    let mut transaction = store.tenant(project).await?;
    let started = sessions::start(&mut transaction, id, generation).await?;
    transaction.commit().await?;
    Ok(started.is_some())
}

pub async fn end(
    store: &Store,
    id: SessionId,
    generation: Generation,
    reason: EndReason,
) -> anyhow::Result<Option<Ended>> {
    let mut transaction = store.system().await?;
    let ended = sessions::end(&mut transaction, id, generation, reason, Actor::Reconciler).await?;
    transaction.commit().await?;
    Ok(ended)
}

pub async fn end_own(store: &Store, project: ProjectId, id: SessionId) -> anyhow::Result<Option<Ended>> {
    let mut transaction = store.tenant(project).await?;
    let ended = sessions::end_own(&mut transaction, id, EndReason::Released, Actor::ControlPlane).await?;
    transaction.commit().await?;
    Ok(ended)
}

/// Gives every free slot to a session that waits, as the control plane does; answers to how many.
pub async fn place_waiting(store: &Store) -> anyhow::Result<usize> {
    let mut turn = store.system().await?;
    let mut count = 0;
    for id in sessions::waiting(&mut turn).await? {
        let mut transaction = store.system().await?;
        if sessions::place(&mut transaction, id, SILENT_AFTER).await? {
            transaction.commit().await?;
            count += 1;
        }
    }
    turn.commit().await?;
    Ok(count)
}

/// A transaction past the store, in one of its roles.
pub async fn raw(
    superuser: &PgPool,
    role: &str,
    project: Option<ProjectId>,
) -> anyhow::Result<Transaction<'static, Postgres>> {
    let mut begin = format!("BEGIN; SET LOCAL ROLE {role}");
    if let Some(project) = project {
        begin += &format!("; SET LOCAL wharf.project = '{project}'");
    }
    Ok(superuser.begin_with(AssertSqlSafe(begin)).await?)
}

/// The whole of these tables as text, to be compared with what they are later.
pub async fn contents(superuser: &PgPool, tables: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut rows = Vec::new();
    for table in tables {
        let rows_of_table = format!("SELECT row_to_json(t)::text FROM {table} AS t ORDER BY 1");
        rows.extend(
            sqlx::query_scalar::<_, String>(AssertSqlSafe(rows_of_table))
                .fetch_all(superuser)
                .await?,
        );
    }
    Ok(rows)
}

/// Waits until so many backends of this database wait for a lock. Postgres announces that nowhere, so it is asked.
pub async fn blocked(superuser: &PgPool, backends: i64) -> anyhow::Result<()> {
    let asked = async {
        let mut ticks = interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0",
            )
            .fetch_one(superuser)
            .await?;
            if waiting == backends {
                return Ok(());
            }
        }
    };
    timeout(PATIENCE, asked)
        .await
        .context("too few statements wait for a lock")?
}

/// Draws below `bound`, the same in each run.
#[derive(Debug)]
pub struct Dice(SeededEntropy);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % bound
    }

    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
