//! The operator's own upstream proxies: which one a session gets.
//!
//! The choice is a function of the pool, the place that was asked for, and the session: one session keeps one upstream, and
//! many sessions are spread. What was found dead comes last, until it is seen alive.

mod choice;
mod file;
mod health;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;
use wharf_egress::{AddressPolicy, Options, ProbeError, Upstream};
use wharf_protocol::ProxyPlace;

use choice::{Candidate, Place, Wanted};
pub use file::BadPool;
use health::Health;

/// The operator's own upstream proxies, and where they are. Cheap to clone.
#[derive(Clone)]
pub struct ProxyPool(Arc<Inner>);

struct Inner {
    members: Vec<Member>,
    health: Health,
}

struct Member {
    /// Its server and its user, which stay the same wherever it stands in the file.
    name: String,
    upstream: Upstream,
    place: Place,
}

/// Why no upstream of the pool was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoUpstream {
    /// The place makes no sense.
    Invalid(&'static str),
    /// The pool has none in that country, but in these.
    NotThere { country: String, offered: String },
}

/// Of those that are where one was wanted, none can be used. A sentence for the caller: which they are is in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoneLiving {
    /// All over the pool.
    #[error("None of the operator's proxies answers; try again")]
    Anywhere,
    /// In this country.
    #[error("None of the operator's proxies in {0} answers; try again, or another place")]
    There(String),
}

impl ProxyPool {
    /// Reads a file of upstreams, in TOML:
    ///
    /// ```toml
    /// [[upstream]]
    /// server = "http://proxy.example:3128"
    /// username = "me"
    /// password = "secret"
    /// country = "US"
    /// state = "CA"
    /// city = "San Francisco"
    /// ```
    ///
    /// # Errors
    /// It cannot be read, or a line of it makes no sense. No error shows a password.
    pub fn read(path: &Path) -> Result<Self, BadPool> {
        let text = std::fs::read_to_string(path).map_err(BadPool::Unreadable)?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, BadPool> {
        let members = file::parse(text)?;
        let health = Health::of(members.len());
        Ok(Self(Arc::new(Inner { members, health })))
    }

    /// The session's upstream at this place, or anywhere.
    pub(super) fn choose(&self, place: Option<&ProxyPlace>, session: u64) -> Result<Upstream, NoUpstream> {
        // Which there is: an order is never empty.
        let order = self.order(place, session, |index| self.0.health.was_dead(index))?;
        let index = order.first().copied().unwrap_or_default();
        Ok(self.0.members[index].upstream.clone())
    }

    /// Looks for an upstream at this place that takes us, the session's own choice first, and remembers what it saw: the
    /// next [`ProxyPool::choose`] gives the one that it found.
    ///
    /// # Errors
    /// None answers.
    pub(super) async fn look_for_living(
        &self,
        place: Option<&ProxyPlace>,
        session: u64,
        (target, addresses, options): (&str, &AddressPolicy, &Options),
    ) -> Result<(), NoneLiving> {
        // Only here is a dead one tried again: a choice whose mark runs out meanwhile would be one that nobody has asked.
        let now = Instant::now();
        let order = self.order(place, session, |index| self.0.health.is_passed_over(index, now));
        // A place that cannot be had was refused before.
        for index in order.unwrap_or_default() {
            if self.0.health.is_known_alive(index, Instant::now()) {
                return Ok(());
            }
            let upstream = &self.0.members[index].upstream;
            let probed = match upstream.probe(target, addresses, options).await {
                // It is there, and busy with the way to the target.
                Err(ProbeError::TunnelTimedOut) => Ok(()),
                probed => probed,
            };
            self.0.health.saw(index, probed.is_ok(), Instant::now());
            let Err(error) = probed else {
                return Ok(());
            };
            tracing::warn!("a proxy of the pool, {upstream}, cannot be used: {error}");
        }
        let wanted = place.and_then(|place| Wanted::of(place).ok());
        Err(wanted.map_or(NoneLiving::Anywhere, |wanted| {
            NoneLiving::There(wanted.country().to_owned())
        }))
    }

    /// Never empty; those that come `last` do.
    fn order(
        &self,
        place: Option<&ProxyPlace>,
        session: u64,
        last: impl Fn(usize) -> bool,
    ) -> Result<Vec<usize>, NoUpstream> {
        let wanted = place.map(Wanted::of).transpose().map_err(NoUpstream::Invalid)?;
        let candidates = self.0.members.iter().map(|member| Candidate {
            name: &member.name,
            place: &member.place,
        });
        let candidates: Vec<_> = candidates.collect();
        let order = choice::order(&candidates, wanted.as_ref(), session);
        match (order.is_empty(), wanted) {
            (true, Some(wanted)) => Err(NoUpstream::NotThere {
                country: wanted.country().to_owned(),
                offered: choice::countries(&candidates),
            }),
            _ => {
                let (dead, living): (Vec<_>, Vec<_>) = order.into_iter().partition(|&index| last(index));
                Ok([living, dead].concat())
            }
        }
    }
}

/// Shows nothing of what it takes to use them.
impl fmt::Debug for ProxyPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upstreams = self.0.members.iter();
        formatter
            .debug_list()
            .entries(upstreams.map(|member| (member.upstream.to_string(), &member.place)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// Says this to everybody who asks, and counts them.
    async fn server(words: &'static str) -> (String, Arc<AtomicU32>, JoinSet<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let callers = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&callers);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, SeqCst);
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n")
                    && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0)
                {}
                let _ = stream.write_all(words.as_bytes()).await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        });
        (format!("http://{address}"), callers, tasks)
    }

    fn pool(servers: &[&str]) -> ProxyPool {
        let entry = |server: &&str| format!("[[upstream]]\nserver = \"{server}\"\ncountry = \"DE\"\n");
        ProxyPool::parse(&servers.iter().map(entry).collect::<String>()).unwrap()
    }

    async fn look(pool: &ProxyPool, session: u64) -> Result<(), NoneLiving> {
        let (addresses, options) = (AddressPolicy::default(), Options::default());
        pool.look_for_living(None, session, ("example.com:443", &addresses, &options))
            .await
    }

    #[tokio::test]
    async fn a_dead_upstream_is_asked_once_and_nobody_gets_it() {
        let (dead, asked, _serving) =
            server("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
        let (living, _, _serving_too) = server("HTTP/1.1 200 OK\r\n\r\n").await;
        let pool = pool(&[&dead, &living]);
        for session in 0..20 {
            look(&pool, session).await.unwrap();
            assert_eq!(pool.choose(None, session).unwrap().to_string(), living);
        }
        assert_eq!(asked.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn one_that_takes_its_time_for_a_tunnel_is_alive() {
        let (slow, asked, _serving) = server("").await;
        let pool = pool(&[&slow]);
        let (addresses, options) = (
            AddressPolicy::default(),
            Options {
                upstream_timeout: Duration::from_millis(50),
                ..Options::default()
            },
        );
        for _ in 0..2 {
            let probe = ("example.com:443", &addresses, &options);
            pool.look_for_living(None, 1, probe).await.unwrap();
        }
        assert_eq!(asked.load(SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_upstream_is_nobodys_until_it_is_seen_alive() {
        let servers = ["http://10.0.0.1:1", "http://10.0.0.2:1"];
        let pool = pool(&servers);
        pool.0.health.saw(0, false, Instant::now());
        tokio::time::advance(health::DEAD_FOR * 2).await;
        let chosen = |session| pool.choose(None, session).unwrap().to_string();
        assert!((0..20).all(|session| chosen(session) == servers[1]));
        pool.0.health.saw(0, true, Instant::now());
        assert!((0..20).any(|session| chosen(session) == servers[0]));
    }

    #[tokio::test]
    async fn where_all_are_dead_each_is_asked_again() {
        let (dead, asked, _serving) =
            server("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
        let pool = pool(&[&dead]);
        for asks in 1..=2 {
            assert_eq!(look(&pool, 1).await, Err(NoneLiving::Anywhere));
            assert_eq!(asked.load(SeqCst), asks);
        }
    }
}
