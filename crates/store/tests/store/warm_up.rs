//! What a process does before its first create.

use wharf_testkit::TestDatabase;

use crate::fixture::connect;

#[tokio::test]
async fn a_warm_up_changes_nothing_and_leaves_connections_behind() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    // Fewer connections than it would take, as many, and more.
    for (most, expected) in [(2, 2), (4, 4), (30, 4)] {
        let (before,): (String,) = sqlx::query_as("SELECT clock_timestamp()::text")
            .fetch_one(&superuser)
            .await?;
        let store = connect(database.url(), most).await?;
        store.warm_up().await?;
        let opened = "SELECT count(*) FROM pg_stat_activity WHERE backend_start > $1::timestamptz AND application_name = 'wharf'";
        let (connections,): (i64,) = sqlx::query_as(opened).bind(before).fetch_one(&superuser).await?;
        assert_eq!(connections, expected, "of at most {most}");
        let written = "SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM session_events)";
        let (rows,): (i64,) = sqlx::query_as(written).fetch_one(&superuser).await?;
        assert_eq!(rows, 0);
        store.close().await;
    }
    database.close().await
}
