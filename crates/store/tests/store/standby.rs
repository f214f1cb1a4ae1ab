//! A server that takes no writes, as after a failover, is not used: it would answer reads and fail every create.

use sqlx::{AssertSqlSafe, Executor};
use wharf_store::StoreError;
use wharf_testkit::TestDatabase;

use crate::fixture::connect;

#[tokio::test]
async fn no_connection_to_a_server_that_takes_no_writes_is_given_out() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&superuser)
        .await?;
    for (setting, usable) in [("on", false), ("off", true)] {
        let statement = format!("ALTER DATABASE {name} SET default_transaction_read_only = {setting}");
        // The connection that says so may be read-only itself by then.
        let statement = format!("BEGIN READ WRITE; {statement}; COMMIT");
        superuser.execute(AssertSqlSafe(statement)).await?;
        let connected = connect(database.url(), 1).await;
        assert_eq!(connected.is_ok(), usable, "read only {setting}: {connected:?}");
        match connected {
            Ok(store) => store.close().await,
            Err(error) => assert!(
                matches!(error.downcast_ref(), Some(StoreError::Unavailable(_))),
                "{error:?}"
            ),
        }
    }
    database.close().await
}
