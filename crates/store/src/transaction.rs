//! Transactions that have taken a role. There is no other way to run a statement on a tenant's table.

use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};
use wharf_domain::ProjectId;

use crate::{Store, StoreError};

/// Sees one project's rows and no others.
#[derive(Debug)]
pub struct TenantTransaction {
    transaction: Transaction<'static, Postgres>,
    project: ProjectId,
}

/// Sees every project's rows. For reconcilers, workers' reports and the administrator.
#[derive(Debug)]
pub struct SystemTransaction(Transaction<'static, Postgres>);

impl Store {
    /// A transaction that speaks for `project`.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn tenant(&self, project: ProjectId) -> Result<TenantTransaction, StoreError> {
        // One round trip. A UUID's text holds nothing but hexadecimal digits and hyphens.
        let begin = format!("BEGIN; SET LOCAL ROLE wharf_tenant; SET LOCAL wharf.project = '{project}'");
        let transaction = self.pool.begin_with(AssertSqlSafe(begin)).await?;
        Ok(TenantTransaction { transaction, project })
    }

    /// A transaction that speaks for the service itself.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn system(&self) -> Result<SystemTransaction, StoreError> {
        Ok(SystemTransaction(
            self.pool.begin_with("BEGIN; SET LOCAL ROLE wharf_system").await?,
        ))
    }
}

impl TenantTransaction {
    /// The project that this transaction speaks for.
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// Keeps what was written.
    ///
    /// # Errors
    /// The connection broke: then it is unknown whether the rows are kept.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl SystemTransaction {
    /// Keeps what was written.
    ///
    /// # Errors
    /// The connection broke: then it is unknown whether the rows are kept.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
