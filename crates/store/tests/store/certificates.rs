//! Certificates: whose they are, and how many there may be.

use tokio::task::JoinSet;
use wharf_domain::{CertificateId, SystemClock, SystemEntropy};
use wharf_store::certificates::{self, Certificate};
use wharf_store::{Store, StoreError};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::{connect, contents};

const MOST: i64 = 3;

fn new_id() -> CertificateId {
    CertificateId::mint(&SystemClock, &SystemEntropy)
}

async fn create(
    store: &Store,
    project: wharf_domain::ProjectId,
    pem: &str,
) -> Result<Option<Certificate>, StoreError> {
    let mut transaction = store.tenant(project).await?;
    let created = certificates::create(&mut transaction, new_id(), pem, MOST).await?;
    transaction.commit().await?;
    Ok(created)
}

#[tokio::test]
async fn no_function_of_the_store_reaches_another_projects_certificate() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let owner = Tenant::create(&database.store, "owner", 10, 10).await?.project;
    let stranger = Tenant::create(&database.store, "stranger", 10, 10).await?.project;
    let first = create(&database.store, owner, "first")
        .await?
        .expect("there is room");
    let second = create(&database.store, owner, "second")
        .await?
        .expect("there is room");
    let before = contents(&superuser, &["certificates"]).await?;

    let mut transaction = database.store.tenant(stranger).await?;
    assert_eq!(certificates::list(&mut transaction).await?, []);
    assert_eq!(certificates::get(&mut transaction, first.id).await?, None);
    assert_eq!(certificates::texts(&mut transaction, &[first.id]).await?, []);
    assert!(!certificates::delete(&mut transaction, first.id).await?);
    transaction.commit().await?;
    assert_eq!(contents(&superuser, &["certificates"]).await?, before);

    let mut transaction = database.store.tenant(owner).await?;
    // Newest first, by ids that know no less than a millisecond.
    let mut expected = [first.clone(), second.clone()];
    expected.sort_by_key(|certificate| std::cmp::Reverse(certificate.id));
    assert_eq!(certificates::list(&mut transaction).await?, expected);
    assert_eq!(
        certificates::get(&mut transaction, first.id).await?,
        Some(first.clone())
    );
    let texts = certificates::texts(&mut transaction, &[first.id, new_id()]).await?;
    assert_eq!(texts, [(first.id, "first".to_owned())]);
    assert!(certificates::delete(&mut transaction, first.id).await?);
    assert!(!certificates::delete(&mut transaction, first.id).await?);
    assert_eq!(certificates::list(&mut transaction).await?, [second]);
    transaction.commit().await?;
    database.close().await
}

#[tokio::test]
async fn many_uploads_at_once_do_not_pass_the_limit_together() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let project = Tenant::create(&database.store, "tenant", 10, 10).await?.project;
    let store = connect(database.url(), 8).await?;
    let mut uploads = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        uploads.spawn(async move { create(&store, project, "pem").await });
    }
    let mut stored = 0;
    while let Some(created) = uploads.join_next().await {
        stored += i64::from(created??.is_some());
    }
    assert_eq!(stored, MOST);
    drop(store);
    database.close().await
}
