//! Who calls.

use std::time::Duration;

use moka::future::Cache;
use wharf_domain::{ApiKey, ApiKeyHash, ApiKeyId, ProjectId, WorkerCredential, WorkerId};
use wharf_store::{api_keys, workers};

use crate::{Control, Error};

/// How long a key is believed without asking Postgres: a revoked key is refused everywhere after this.
const BELIEVED_FOR: Duration = Duration::from_secs(2);
const CACHED_KEYS: u64 = 10_000;

/// Somebody who has shown a project's key. Holding one is the permission to act for that project: it is made here only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    project: ProjectId,
    key: ApiKeyId,
}

impl Caller {
    /// The project that the caller acts for.
    pub const fn project(&self) -> ProjectId {
        self.project
    }

    /// The key that it showed.
    pub const fn key(&self) -> ApiKeyId {
        self.key
    }
}

/// A worker that has shown its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerCaller {
    worker: WorkerId,
}

impl WorkerCaller {
    /// The worker.
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }
}

/// Keys that were found a moment ago.
#[derive(Clone)]
pub(crate) struct KeyCache(Cache<ApiKeyHash, Caller>);

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self(
            Cache::builder()
                .time_to_live(BELIEVED_FOR)
                .max_capacity(CACHED_KEYS)
                .build(),
        )
    }
}

/// Whom this API key speaks for.
///
/// # Errors
/// The key is missing, malformed, unknown or revoked.
pub async fn authenticate(control: &Control, key: Option<&str>) -> Result<Caller, Error> {
    let key = key.ok_or(Error::Unauthorized(
        "send your API key in the header X-BB-API-Key",
    ))?;
    let refused = Error::Unauthorized("the API key is not valid");
    let Ok(key) = key.parse::<ApiKey>() else {
        return Err(refused);
    };
    let hash = key.hash();
    if let Some(caller) = control.keys.0.get(&hash).await {
        return Ok(caller);
    }
    let mut transaction = control.store.system().await?;
    let found = api_keys::find(&mut transaction, &hash).await?.ok_or(refused)?;
    transaction.close();
    let caller = Caller {
        project: found.project,
        key: found.id,
    };
    control.keys.0.insert(hash, caller).await;
    Ok(caller)
}

/// Which worker this credential belongs to.
///
/// # Errors
/// The credential is missing, malformed or unknown.
pub async fn authenticate_worker(control: &Control, credential: Option<&str>) -> Result<WorkerCaller, Error> {
    let refused = Error::Unauthorized("only an enrolled worker may call this");
    let Some(Ok(credential)) = credential.map(str::parse::<WorkerCredential>) else {
        return Err(refused);
    };
    let mut transaction = control.store.system().await?;
    let worker = workers::find(&mut transaction, &credential.hash())
        .await?
        .ok_or(refused)?;
    transaction.close();
    Ok(WorkerCaller { worker })
}
