//! Whether the database is the one that this program was written for.

use sqlx::migrate::{Migrate, MigrateError};

use crate::pool::MIGRATIONS;
use crate::{Store, StoreError};

impl Store {
    /// Checks, without changing anything, that every migration of this program has been applied. Further ones are none of
    /// its business: during an upgrade older programs run on the newer schema.
    ///
    /// # Errors
    /// [`StoreError::Migrate`] when one is missing; otherwise Postgres does not answer.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let applied = match connection.list_applied_migrations(&MIGRATIONS.table_name).await {
            Ok(applied) => applied,
            Err(MigrateError::Execute(error)) => return Err(missing_or(error)),
            Err(error) => return Err(StoreError::Migrate(error)),
        };
        for migration in MIGRATIONS.iter() {
            match applied
                .iter()
                .find(|applied| applied.version == migration.version)
            {
                Some(applied) if applied.checksum == migration.checksum => {}
                Some(_) => {
                    return Err(StoreError::Migrate(MigrateError::VersionMismatch(
                        migration.version,
                    )));
                }
                None => {
                    return Err(StoreError::Migrate(MigrateError::VersionNotPresent(
                        migration.version,
                    )));
                }
            }
        }
        Ok(())
    }
}

/// A database that was never migrated has no table of migrations.
fn missing_or(error: sqlx::Error) -> StoreError {
    const UNDEFINED_TABLE: &str = "42P01";
    match error.as_database_error().and_then(|error| error.code()) {
        Some(code) if code == UNDEFINED_TABLE => StoreError::Migrate(MigrateError::Execute(error)),
        _ => error.into(),
    }
}
