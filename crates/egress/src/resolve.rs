//! From a name to its addresses, once.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::address::AddressPolicy;
use crate::failure::Failure;
use crate::host::Host;
use crate::tasks::Tasks;

/// The answer to a lookup, which may take its time.
pub type Resolved<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks names up.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a host, the best first. A name that does not exist is an error or has none.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolved<'a>;
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolved<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The lookups of one egress.
#[derive(Clone)]
pub(crate) struct Names {
    resolver: Arc<dyn Resolve>,
    /// A lookup may hold a thread of the whole process until a name server has answered.
    lookups: Arc<Semaphore>,
    tasks: Tasks,
}

impl Names {
    pub(crate) fn new(resolver: Arc<dyn Resolve>, lookups: usize, tasks: Tasks) -> Self {
        Self {
            resolver,
            lookups: Arc::new(Semaphore::new(lookups)),
            tasks,
        }
    }

    /// The host's addresses that may be dialled; without a policy, all.
    pub(crate) async fn open_addresses(
        &self,
        host: &Host,
        policy: Option<&AddressPolicy>,
    ) -> Result<Vec<IpAddr>, Failure> {
        let all = self.addresses(host).await?;
        let mut refusal = None;
        let mut open = Vec::with_capacity(all.len());
        for address in all {
            match policy.map_or(Ok(()), |policy| policy.check(address)) {
                Ok(()) => open.push(address.to_canonical()),
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        match refusal {
            Some(refusal) if open.is_empty() => Err(Failure::Address(refusal)),
            _ if open.is_empty() => Err(Failure::NameNotFound),
            _ => Ok(open),
        }
    }

    /// Whether all of the host's addresses may be dialled: whoever is given the name may take any. A name that is not
    /// found here passes: it may be known only there.
    pub(crate) async fn check(&self, host: &Host, policy: &AddressPolicy) -> Result<(), Failure> {
        let all = match self.addresses(host).await {
            Err(Failure::NameNotFound) => return Ok(()),
            found => found?,
        };
        let mut all = all.into_iter();
        all.try_for_each(|address| policy.check(address).map_err(Failure::Address))
    }

    async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, Failure> {
        match host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(_) if host.is_localhost() => Ok(localhost().to_vec()),
            Host::Name(name) => self.look_up(name.clone()).await,
        }
    }

    /// In a task of its own: whoever asked may leave, and the lookup still holds its thread.
    async fn look_up(&self, name: String) -> Result<Vec<IpAddr>, Failure> {
        let (resolver, lookups) = (Arc::clone(&self.resolver), Arc::clone(&self.lookups));
        let lookup = self.tasks.spawn(async move {
            let _permit = lookups.acquire_owned().await;
            resolver.resolve(&name).await
        });
        match lookup.await {
            Ok(Some(Ok(addresses))) => Ok(addresses),
            Ok(Some(Err(error))) => {
                // A page asks for what it likes, so this is nothing to wake anybody for.
                tracing::debug!(%error, "a name was not found: {error}");
                Err(Failure::NameNotFound)
            }
            Ok(None) | Err(_) => Err(Failure::NameNotFound),
        }
    }
}

/// What `localhost` and every name below it is, without a lookup.
pub(crate) fn localhost() -> [IpAddr; 2] {
    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Names").finish_non_exhaustive()
    }
}
