//! Keys and credentials: what is stored of them, and which ones open something.

use wharf_domain::{ApiKey, ApiKeyId, SystemClock, SystemEntropy, WorkerCredential, WorkerId};
use wharf_store::api_keys::{self, NewApiKey};
use wharf_store::{StoreError, workers};
use wharf_testkit::{Tenant, TestDatabase};

use crate::fixture::contents;

#[tokio::test]
async fn a_revoked_key_opens_nothing() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    let neighbour = Tenant::create(&database.store, "neighbour", 10, 10).await?;
    let mut transaction = database.store.system().await?;
    let found = api_keys::find(&mut transaction, &tenant.key.hash())
        .await?
        .unwrap();
    assert_eq!(found.project, tenant.project);

    assert!(
        !api_keys::revoke(&mut transaction, neighbour.project, found.id).await?,
        "not its key"
    );
    assert_eq!(
        api_keys::find(&mut transaction, &tenant.key.hash()).await?,
        Some(found)
    );
    assert!(api_keys::revoke(&mut transaction, tenant.project, found.id).await?);
    transaction.commit().await?;

    let mut transaction = database.store.system().await?;
    assert_eq!(api_keys::find(&mut transaction, &tenant.key.hash()).await?, None);
    assert!(
        api_keys::find(&mut transaction, &neighbour.key.hash())
            .await?
            .is_some()
    );
    let revoked = api_keys::list(&mut transaction, tenant.project).await?;
    assert!(revoked[0].revoked_at.is_some());
    assert!(api_keys::revoke(&mut transaction, tenant.project, found.id).await?);
    assert_eq!(
        api_keys::list(&mut transaction, tenant.project).await?,
        revoked,
        "the first moment stays"
    );
    drop(transaction);
    database.close().await
}

#[tokio::test]
async fn a_project_may_have_several_keys_and_no_two_the_same() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    let second = ApiKey::mint(&SystemEntropy);
    let new = |key| NewApiKey {
        id: ApiKeyId::mint(&SystemClock, &SystemEntropy),
        project: tenant.project,
        name: "second",
        key,
    };
    let mut transaction = database.store.system().await?;
    api_keys::create(&mut transaction, new(&second)).await?;
    let listed = api_keys::list(&mut transaction, tenant.project).await?;
    let hints: Vec<_> = listed.iter().map(|key| key.hint.as_str()).collect();
    assert_eq!(hints, [tenant.key.hint(), second.hint()]);
    for key in [&tenant.key, &second] {
        assert!(api_keys::find(&mut transaction, &key.hash()).await?.is_some());
    }
    let refused = api_keys::create(&mut transaction, new(&second)).await;
    let Err(StoreError::Constraint { constraint }) = refused else {
        panic!("the same key twice: {refused:?}");
    };
    assert_eq!(constraint, "api_keys_hash_unique");
    drop(transaction);
    database.close().await
}

#[tokio::test]
async fn a_second_enrolment_replaces_the_credential() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let [first, second] = [
        WorkerCredential::mint(&SystemEntropy),
        WorkerCredential::mint(&SystemEntropy),
    ];
    let [id, unused] = [(); 2].map(|()| WorkerId::mint(&SystemClock, &SystemEntropy));
    let mut transaction = database.store.system().await?;
    assert_eq!(workers::enroll(&mut transaction, id, "worker", &first).await?, id);
    assert_eq!(workers::find(&mut transaction, &first.hash()).await?, Some(id));
    assert_eq!(
        workers::enroll(&mut transaction, unused, "worker", &second).await?,
        id
    );
    assert_eq!(workers::find(&mut transaction, &first.hash()).await?, None);
    assert_eq!(workers::find(&mut transaction, &second.hash()).await?, Some(id));
    drop(transaction);
    database.close().await
}

#[tokio::test]
async fn of_a_key_only_the_hash_and_the_hint_are_stored() -> anyhow::Result<()> {
    let database = TestDatabase::new().await?;
    let superuser = database.superuser().await?;
    let tenant = Tenant::create(&database.store, "tenant", 10, 10).await?;
    let credential = WorkerCredential::mint(&SystemEntropy);
    let mut transaction = database.store.system().await?;
    let id = WorkerId::mint(&SystemClock, &SystemEntropy);
    workers::enroll(&mut transaction, id, "worker", &credential).await?;
    transaction.commit().await?;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&superuser)
            .await?;
    let tables: Vec<_> = tables.iter().map(String::as_str).collect();
    let dump = contents(&superuser, &tables).await?.join("\n");
    for (secret, hash) in [
        (tenant.key.expose(), tenant.key.hash()),
        (credential.expose(), credential.hash()),
    ] {
        assert!(
            dump.contains(&hexadecimal(hash.as_bytes())),
            "the dump has the hash, so it is one"
        );
        // The random part alone would do as well as the whole.
        let random = &secret[secret.len() - 20..];
        assert!(!dump.contains(random) && !dump.contains(&hexadecimal(random.as_bytes())));
    }
    assert!(dump.contains(tenant.key.hint()));
    database.close().await
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
