//! A project with a key, made straight in the store.

use wharf_domain::{
    ApiKey, ApiKeyId, OrganizationId, ProjectId, ProjectLimits, Region, SystemClock, SystemEntropy,
    WorkerCredential, WorkerId,
};
use wharf_store::Store;
use wharf_store::api_keys::{self, NewApiKey};
use wharf_store::projects::{self, NewProject};
use wharf_store::workers::{self, Registration};

/// A project with a key.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The project.
    pub project: ProjectId,
    /// Its key.
    pub key: ApiKey,
}

impl Tenant {
    /// Makes a project of this name with these limits, and a key for it.
    pub async fn create(
        store: &Store,
        name: &str,
        concurrency: i64,
        creates_per_minute: i64,
    ) -> anyhow::Result<Self> {
        let project = ProjectId::mint(&SystemClock, &SystemEntropy);
        let key = ApiKey::mint(&SystemEntropy);
        let mut transaction = store.system().await?;
        let new = NewProject {
            id: project,
            name,
            limits: ProjectLimits::new(concurrency, creates_per_minute)?,
            organization_name: "test",
            organization: OrganizationId::mint(&SystemClock, &SystemEntropy),
        };
        projects::create(&mut transaction, new).await?;
        let id = ApiKeyId::mint(&SystemClock, &SystemEntropy);
        api_keys::create(
            &mut transaction,
            NewApiKey {
                id,
                project,
                name: "test",
                key: &key,
            },
        )
        .await?;
        transaction.commit().await?;
        Ok(Self { project, key })
    }

    /// Makes a worker's row with this many slots in every region. Nothing listens at its address.
    pub async fn worker(store: &Store, name: &str, slots: i32) -> anyhow::Result<WorkerId> {
        let credential = WorkerCredential::mint(&SystemEntropy);
        let id = WorkerId::mint(&SystemClock, &SystemEntropy);
        let mut transaction = store.system().await?;
        let id = workers::enroll(&mut transaction, id, name, &credential).await?;
        let registration = Registration {
            id,
            address: "127.0.0.1:1",
            regions: &Region::ALL,
            slots,
            process: None,
        };
        workers::register(&mut transaction, registration).await?;
        transaction.commit().await?;
        Ok(id)
    }
}
