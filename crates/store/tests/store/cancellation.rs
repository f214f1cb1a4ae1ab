//! A caller that hangs up while its transaction begins leaves nothing behind.
//!
//! The web framework drops a handler whose client is gone, at any await. sqlx 0.9 then gives the connection back with
//! its `BEGIN` under way; the hook in `pool.rs` cleans it.

use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, stream};
use sqlx::PgPool;
use tokio::time::{interval, timeout};
use wharf_domain::ProjectId;
use wharf_store::sessions::{self, SessionFilter};
use wharf_store::{Store, projects};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{Dice, connect, place};
use crate::proxy::SlowLink;

const BEGINS: usize = 1_000;
const CONNECTIONS: u32 = 5;
const DELAY: Duration = Duration::from_millis(1);
/// A begin takes two of the link's delays, and the release of the connection before it four.
const DROPPED_AFTER_MICROSECONDS: usize = 25_000;

/// Begins a transaction for one of the projects and drops it after a random time; whether it had begun by then.
async fn begin_and_drop(store: &Store, project: ProjectId, after: Duration) -> anyhow::Result<bool> {
    match timeout(after, store.tenant(project)).await {
        Ok(begun) => begun.map(|_| true).context("the pool works"),
        Err(_) => Ok(false),
    }
}

/// Our backends that are in a transaction and do nothing there.
async fn idle_in_transaction(superuser: &PgPool) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'wharf' AND state LIKE 'idle in transaction%'",
    )
    .fetch_one(superuser)
    .await?)
}

/// The last rollbacks may still be on the slow link.
async fn until_none_is_idle_in_transaction(superuser: &PgPool) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_millis(10));
    let asked = async {
        while idle_in_transaction(superuser).await? > 0 {
            ticks.tick().await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(3), asked)
        .await
        .context("a backend stays idle in a transaction that nobody owns")?
}

/// Whatever connection the pool gives: no role of a dropped transaction is left on it.
async fn assert_clean(store: &Store, project: ProjectId) -> anyhow::Result<()> {
    // Neither role may read the table of migrations.
    store.migrate().await.context("a role is left")?;
    let mut tenant = store.tenant(project).await?;
    let seen = sessions::list(&mut tenant, &SessionFilter::default(), 10).await?;
    assert_eq!(
        seen.iter().map(|session| session.project).collect::<Vec<_>>(),
        [project]
    );
    tenant.commit().await?;
    let mut system = store.system().await?;
    assert_eq!(projects::list(&mut system).await?.len(), 2);
    Ok(system.commit().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_dropped_begins_leave_no_transaction_and_no_role() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    Tenant::worker(&database.store, "worker", 10).await?;
    let mut tenants = Vec::new();
    for name in ["a", "b"] {
        let project = Tenant::create(&database.store, name, 10, 10).await?.project;
        place(&database.store, project).await?;
        tenants.push(project);
    }
    let link = SlowLink::new(database.url(), DELAY)?;
    let store = connect(&link.url()?, CONNECTIONS).await?;
    // Every connection is there before the first is dropped: what is looked at is BEGIN, not the way to a connection.
    let all = (0..CONNECTIONS).map(|_| store.system());
    drop(futures_util::future::try_join_all(all).await?);
    let dice = Dice::new(1);
    let begun: Vec<_> = stream::iter(0..BEGINS)
        .map(|index| {
            let after = Duration::from_micros(dice.below(DROPPED_AFTER_MICROSECONDS) as u64);
            begin_and_drop(&store, tenants[index % 2], after)
        })
        .buffer_unordered(CONNECTIONS as usize)
        .collect()
        .await;
    let begun = begun.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let whole = begun.iter().filter(|whole| **whole).count();
    assert!(
        (BEGINS / 20..BEGINS).contains(&whole),
        "{whole} of {BEGINS} begins were whole"
    );

    until_none_is_idle_in_transaction(&superuser).await?;
    for turn in 0..4 * CONNECTIONS as usize {
        assert_clean(&store, tenants[turn % 2]).await?;
    }
    assert_eq!(idle_in_transaction(&superuser).await?, 0);
    store.close().await;
    database.close().await
}
