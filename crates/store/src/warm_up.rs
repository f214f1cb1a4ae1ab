//! Connections that know the statements of a create before the first one comes.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde_json::json;
use uuid::Uuid;
use wharf_domain::{ApiKeyId, Generation, ProjectId, Region, SessionId};

use crate::sessions::{self, NewSession};
use crate::{Store, StoreError, TenantTransaction};

/// A create's two transactions, and what goes on beside them.
const CONNECTIONS: u32 = 4;
/// PostgreSQL plans a prepared statement anew for its first five executions, and then may keep a plan.
const EXECUTIONS: usize = 6;

impl Store {
    /// Runs the statements of a create on some connections, for a project that there is not, so that nothing changes.
    /// Planning them takes longer than running them: without this, the first creates of a process wait for it.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn warm_up(&self) -> Result<(), StoreError> {
        let nobody = ProjectId::from(Uuid::nil());
        // All at once, so that no two are the same connection.
        let connections = CONNECTIONS.min(self.pool.options().get_max_connections());
        let transactions = try_join_all((0..connections).map(|_| self.admission(nobody))).await?;
        join_all(transactions.into_iter().map(rehearse))
            .await
            .into_iter()
            .collect()
    }
}

async fn rehearse(mut transaction: TenantTransaction) -> Result<(), StoreError> {
    let id = SessionId::from(Uuid::nil());
    let new = NewSession {
        id,
        api_key: ApiKeyId::from(Uuid::nil()),
        region: Region::UsWest2,
        timeout: None,
        keep_alive: false,
        user_metadata: None,
        options: json!({}),
        silent_after: Duration::ZERO,
        wait_within: Duration::ZERO,
        lost_after: Duration::ZERO,
    };
    for _ in 0..EXECUTIONS {
        sessions::create(&mut transaction, &new).await?;
        sessions::start(&mut transaction, id, Generation(1)).await?;
        sessions::get(&mut transaction, id).await?;
    }
    transaction.close();
    Ok(())
}
