//! What can go wrong between us and Postgres.

/// A question that Postgres did not answer, or not as expected.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection in time: Postgres is away, or every connection is busy. Trying again later may work.
    #[error("no connection to Postgres: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// Postgres chose this transaction to break a deadlock, or could not order it among others. Nothing of it is kept;
    /// running the whole of it again is safe.
    #[error("Postgres undid the transaction, as it stood in the way of another: {0}")]
    Undone(#[source] sqlx::Error),
    /// A named constraint does not allow it.
    #[error("constraint {constraint} does not allow it")]
    Constraint {
        /// The constraint's name in the migrations.
        constraint: String,
    },
    /// A row holds a value that no version of this program writes.
    #[error(
        "a row of {table} holds {value:?}, which means nothing here: is an older program reading a newer database?"
    )]
    Unknown {
        /// The table.
        table: &'static str,
        /// The value.
        value: String,
    },
    /// The migrations failed.
    #[error("the database could not be brought up to date: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Anything else.
    #[error("Postgres refused a statement: {0}")]
    Statement(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether running the whole transaction again is likely to help at once: Postgres undid it, or the connection broke
    /// that was given out, while others may be whole. Not when there was none to be had: that has taken its time already.
    pub const fn is_worth_repeating(&self) -> bool {
        match self {
            Self::Undone(_) => true,
            Self::Unavailable(error) => !matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_) => Self::Unavailable(error),
            sqlx::Error::Database(database) => match (database.constraint(), database.code().as_deref()) {
                (Some(constraint), _) => Self::Constraint {
                    constraint: constraint.to_owned(),
                },
                // 57P01..57P03: shutting down, crashed, starting up. 53300: too many connections. 25006: read-only.
                // 08xxx: the connection is gone.
                (
                    None,
                    Some("57P01" | "57P02" | "57P03" | "53300" | "25006" | "08000" | "08003" | "08006"),
                ) => Self::Unavailable(error),
                // Deadlock detected; serialization failure.
                (None, Some("40P01" | "40001")) => Self::Undone(error),
                _ => Self::Statement(error),
            },
            _ => Self::Statement(error),
        }
    }
}

/// Reads a text column whose values are the names of an enum.
pub(crate) fn known<T: std::str::FromStr>(table: &'static str, value: &str) -> Result<T, StoreError> {
    value.parse().map_err(|_| StoreError::Unknown {
        table,
        value: value.to_owned(),
    })
}
