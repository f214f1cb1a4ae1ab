//! Lists against a model of them.

use std::time::Duration;

use serde_json::{Value, json};
use wharf_domain::{ManualClock, ProjectId, SessionId, SessionStatus, SystemEntropy, Timestamp};
use wharf_store::Store;
use wharf_store::sessions::{self, SessionFilter};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{create, end_own, new_session, start};

const SESSIONS: usize = 40;

/// What the test knows of a session.
struct Known {
    id: SessionId,
    status: SessionStatus,
    metadata: Option<Value>,
}

impl Known {
    fn matches(&self, filter: &SessionFilter) -> bool {
        let status = filter.status.is_none_or(|status| status == self.status);
        let metadata = match (&filter.metadata, &self.metadata) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(metadata)) => contains(metadata, wanted),
        };
        status && metadata && filter.before.is_none_or(|before| self.id < before)
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part))),
        _ => whole == part,
    }
}

/// Sessions of every kind, a millisecond apart, newest first.
async fn populate(store: &Store, project: ProjectId) -> anyhow::Result<Vec<Known>> {
    let clock = ManualClock::starting_at(Timestamp::UNIX_EPOCH);
    let mut known = Vec::new();
    for index in 0..SESSIONS {
        clock.advance(Duration::from_millis(1));
        let mut new = new_session();
        new.id = SessionId::mint(&clock, &SystemEntropy);
        new.user_metadata = match index % 4 {
            0 => None,
            kind => Some(json!({ "kind": kind, "order": { "id": index / 10, "paid": kind == 1 } })),
        };
        assert!(create(store, project, &new).await?.place().is_some());
        let mut status = SessionStatus::Pending;
        if index % 3 > 0 && start(store, project, new.id, wharf_domain::Generation::FIRST).await? {
            status = SessionStatus::Running;
        }
        if index % 3 > 1 && end_own(store, project, new.id).await?.is_some() {
            status = SessionStatus::Completed;
        }
        known.insert(
            0,
            Known {
                id: new.id,
                status,
                metadata: new.user_metadata,
            },
        );
    }
    Ok(known)
}

fn filters() -> Vec<SessionFilter> {
    let statuses = [
        None,
        Some(SessionStatus::Pending),
        Some(SessionStatus::Running),
        Some(SessionStatus::Completed),
        Some(SessionStatus::Error),
    ];
    let metadata = [
        None,
        Some(json!({})),
        Some(json!({ "kind": 2 })),
        Some(json!({ "order": { "id": 1 } })),
        Some(json!({ "kind": 1, "order": { "id": 3, "paid": true } })),
        Some(json!({ "kind": "2" })),
        Some(json!({ "id": 1 })),
    ];
    let with = |status: Option<SessionStatus>| {
        metadata.clone().map(|metadata| SessionFilter {
            status,
            metadata,
            before: None,
        })
    };
    statuses.into_iter().flat_map(with).collect()
}

async fn list(
    store: &Store,
    project: ProjectId,
    filter: &SessionFilter,
    limit: i64,
) -> anyhow::Result<Vec<SessionId>> {
    let mut transaction = store.tenant(project).await?;
    let listed = sessions::list(&mut transaction, filter, limit).await?;
    transaction.commit().await?;
    Ok(listed.into_iter().map(|session| session.id).collect())
}

#[tokio::test]
async fn every_filter_finds_what_it_describes_newest_first_and_in_pages() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    Tenant::worker(&database.store, "worker", 1_000).await?;
    let project = Tenant::create(&database.store, "tenant", 1_000, 1_000)
        .await?
        .project;
    let neighbour = Tenant::create(&database.store, "neighbour", 1_000, 1_000)
        .await?
        .project;
    let known = populate(&database.store, project).await?;
    populate(&database.store, neighbour).await?;
    let mut nonempty = 0;
    for mut filter in filters() {
        let expected: Vec<_> = known
            .iter()
            .filter(|known| known.matches(&filter))
            .map(|known| known.id)
            .collect();
        assert_eq!(
            list(&database.store, project, &filter, 1_000).await?,
            expected,
            "{filter:?}"
        );
        nonempty += usize::from(!expected.is_empty());

        let mut paged = Vec::new();
        loop {
            let page = list(&database.store, project, &filter, 7).await?;
            assert!(page.len() <= 7);
            let Some(last) = page.last() else { break };
            filter.before = Some(*last);
            paged.extend(page);
        }
        assert_eq!(paged, expected, "{filter:?}, in pages");
    }
    assert_eq!(nonempty, 19, "the filters that describe something");
    database.close().await
}

#[tokio::test]
async fn a_page_goes_on_below_a_session_that_is_not_the_callers() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    Tenant::worker(&database.store, "worker", 1_000).await?;
    let project = Tenant::create(&database.store, "tenant", 1_000, 1_000)
        .await?
        .project;
    let known = populate(&database.store, project).await?;
    let between = SessionId::from(sqlx::types::Uuid::from_u128(known[9].id.as_uuid().as_u128() + 1));
    let filter = SessionFilter {
        before: Some(between),
        ..SessionFilter::default()
    };
    let expected: Vec<_> = known[9..14].iter().map(|known| known.id).collect();
    assert_eq!(list(&database.store, project, &filter, 5).await?, expected);
    database.close().await
}
