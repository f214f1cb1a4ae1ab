//! A session's proxy rules, as its way out understands them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use wharf_domain::SessionId;
use wharf_egress::{
    AddressPolicy, Blocklist, Credentials, Options, Pattern, RequestKind, Road, Route, Rules, Upstream,
};
use wharf_protocol::{ProxyPlace, ProxyRoad, ProxyRule};

use super::Impossible;
use super::proxy_pool::{NoUpstream, ProxyPool};

/// A host that an upstream proxy is asked for, to see whether it takes us. That it cannot be reached is not its fault.
const PROBE_TARGET: &str = "example.com:443";

/// An operator's proxy is near, or not worth having; there may be others to ask.
const POOL_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const POOL_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Each rule's pattern may take 128 KiB while the session lasts.
const MOST_RULES: usize = 20;

/// What the operator offers to sessions that ask for a proxy without naming one.
#[derive(Debug, Clone)]
pub enum BuiltInProxy {
    /// The way from this machine, counted as proxied.
    Direct,
    /// The nearest of these.
    Pool(ProxyPool),
    /// Nothing.
    None,
}

/// A number of a session's own, by which it keeps one among equal proxies.
pub(crate) fn session_number(id: SessionId) -> u64 {
    let (high, low) = id.as_uuid().as_u64_pair();
    high ^ low
}

/// The rules in force for a session, with the operator's proxies as they are for a session of this number.
///
/// # Errors
/// A rule that cannot be followed, with its number.
pub(super) fn rules(
    proxies: &[ProxyRule],
    (built_in, session): (&BuiltInProxy, u64),
    addresses: &AddressPolicy,
) -> Result<Rules, Impossible> {
    if proxies.len() > MOST_RULES {
        return Err(Impossible::Invalid(format!(
            "body/proxies: {} rules are more than {MOST_RULES}; join patterns with |",
            proxies.len()
        )));
    }
    let routes = proxies
        .iter()
        .enumerate()
        .map(|(number, rule)| route(number, rule, (built_in, session)));
    Ok(Rules {
        addresses: addresses.clone(),
        routes: routes.collect::<Result<_, _>>()?,
        blocked: None,
    })
}

/// Finds an upstream of the pool that answers for each rule which wants one, for all at once; [`rules`] then names it.
///
/// # Errors
/// None does.
pub(super) async fn look_for_living(
    proxies: &[ProxyRule],
    (built_in, session): (&BuiltInProxy, u64),
    addresses: &AddressPolicy,
) -> Result<(), Impossible> {
    let BuiltInProxy::Pool(pool) = built_in else {
        return Ok(());
    };
    let options = Options {
        connect_timeout: POOL_CONNECT_TIMEOUT,
        upstream_timeout: POOL_ANSWER_TIMEOUT,
        ..Options::default()
    };
    let mut places = Vec::new();
    for rule in proxies {
        if let ProxyRoad::BuiltIn { place, .. } = &rule.road
            && !places.contains(&place)
        {
            places.push(place);
        }
    }
    let looks = places.into_iter().map(|place| {
        let probe = (PROBE_TARGET, addresses, &options);
        pool.look_for_living(place.as_ref(), session, probe)
    });
    try_join_all(looks)
        .await
        .map(drop)
        .map_err(|none| Impossible::NotHere(none.to_string()))
}

/// Asks every upstream proxy of the tenant's for a tunnel: a session is not promised one that does not answer.
///
/// # Errors
/// One that does not, with its rule's number.
pub(super) async fn probe(rules: &Rules, options: &Options) -> Result<(), Impossible> {
    let probes = rules.routes.iter().enumerate().map(|(number, route)| async move {
        let upstream = match &route.road {
            Road::Upstream(upstream) if !upstream.trusted => upstream,
            _ => return Ok(()),
        };
        let probed = upstream.probe(PROBE_TARGET, &rules.addresses, options).await;
        probed.map_err(|error| invalid(number, &format!("the proxy {upstream} cannot be used: {error}")))
    });
    try_join_all(probes).await.map(drop)
}

fn route(
    number: usize,
    rule: &ProxyRule,
    (built_in, session): (&BuiltInProxy, u64),
) -> Result<Route, Impossible> {
    let pattern = rule.domain_pattern.as_deref().map(Pattern::new).transpose();
    Ok(Route {
        pattern: pattern.map_err(|error| invalid(number, &format!("domainPattern: {error}")))?,
        road: match &rule.road {
            ProxyRoad::Direct => Road::Direct { counted: false },
            ProxyRoad::BuiltIn { somewhere, place } => match (built_in, somewhere) {
                (BuiltInProxy::Direct, false) => Road::Direct { counted: true },
                (BuiltInProxy::Pool(pool), _) => {
                    Road::Upstream(of_pool(number, pool, place.as_ref(), session)?)
                }
                _ => return Err(no_pool(number)),
            },
            ProxyRoad::External {
                server,
                username,
                password,
            } => {
                let upstream =
                    Upstream::parse(server).map_err(|error| invalid(number, &format!("server: {error}")))?;
                let password = password.as_ref().map_or("", |password| password.expose());
                let given = username
                    .as_ref()
                    .map(|username| Credentials::new(username, password));
                let credentials = match given {
                    Some(None) => return Err(invalid(number, "username: it may not hold a colon")),
                    Some(given) => given,
                    None => upstream.credentials.clone(),
                };
                Road::Upstream(Upstream {
                    credentials,
                    ..upstream
                })
            }
        },
    })
}

fn invalid(number: usize, reason: &str) -> Impossible {
    Impossible::Invalid(format!("body/proxies/{number}: {reason}"))
}

fn of_pool(
    number: usize,
    pool: &ProxyPool,
    place: Option<&ProxyPlace>,
    session: u64,
) -> Result<Upstream, Impossible> {
    pool.choose(place, session).map_err(|none| match none {
        NoUpstream::Invalid(reason) => invalid(number, reason),
        NoUpstream::NotThere { country, offered } => Impossible::NotOffered(format!(
            "body/proxies/{number}: this server offers no proxy in {country}; it has some in {offered}"
        )),
    })
}

fn no_pool(number: usize) -> Impossible {
    Impossible::NotOffered(format!(
        "body/proxies/{number}: this server offers no proxies of its own at that place; name one with type \"external\", or \
         leave the rule out"
    ))
}

/// For a browser that has no session: what it asks for by itself is nobody's traffic.
pub(super) fn closed() -> Rules {
    Rules {
        blocked: Some(Arc::new(Everything)),
        ..Rules::default()
    }
}

#[derive(Debug)]
struct Everything;

impl Blocklist for Everything {
    fn blocks_host(&self, _: &str) -> bool {
        true
    }

    fn blocks_url(&self, _: &str, _: Option<&str>, _: RequestKind) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use wharf_protocol::ProxyPassword;

    use super::*;

    fn rule(road: ProxyRoad) -> ProxyRule {
        ProxyRule {
            domain_pattern: None,
            road,
        }
    }

    fn external(server: &str, username: Option<&str>) -> ProxyRule {
        rule(ProxyRoad::External {
            server: server.to_owned(),
            username: username.map(str::to_owned),
            password: Some(ProxyPassword::new("hunter2".to_owned())),
        })
    }

    fn refusal(rules: &[ProxyRule]) -> Impossible {
        super::rules(rules, (&BuiltInProxy::None, 0), &AddressPolicy::default()).unwrap_err()
    }

    #[test]
    fn each_rule_that_cannot_be_followed_is_named_by_its_number() {
        let direct = rule(ProxyRoad::Direct);
        let backwards = ProxyRule {
            domain_pattern: Some("(a)\\1".to_owned()),
            ..direct.clone()
        };
        for (rules, words) in [
            (vec![backwards], "body/proxies/0: domainPattern"),
            (
                vec![direct, external("socks5://proxy:1", None)],
                "body/proxies/1: server",
            ),
            (
                vec![external("http://proxy:1", Some("a:b"))],
                "body/proxies/0: username",
            ),
        ] {
            let Impossible::Invalid(told) = refusal(&rules) else {
                panic!("not offered");
            };
            assert!(told.starts_with(words) && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_the_operator_does_not_offer_is_not_replaced_by_something_else() {
        let anywhere = rule(ProxyRoad::BuiltIn {
            somewhere: false,
            place: None,
        });
        let somewhere = rule(ProxyRoad::BuiltIn {
            somewhere: true,
            place: None,
        });
        let addresses = AddressPolicy::default();
        assert!(matches!(
            refusal(std::slice::from_ref(&anywhere)),
            Impossible::NotOffered(_)
        ));
        let direct = super::rules(&[anywhere], (&BuiltInProxy::Direct, 0), &addresses).unwrap();
        assert!(matches!(direct.routes[0].road, Road::Direct { counted: true }));
        let refused = super::rules(&[somewhere], (&BuiltInProxy::Direct, 0), &addresses).unwrap_err();
        assert!(matches!(refused, Impossible::NotOffered(_)));
    }

    #[tokio::test]
    async fn a_living_proxy_is_looked_for_in_all_places_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pool.toml");
        let [one, other] = [listener().await, listener().await];
        let entry = |listener: &TcpListener, country: &str| {
            let address = listener.local_addr().unwrap();
            format!("[[upstream]]\nserver = \"http://{address}\"\ncountry = \"{country}\"\n")
        };
        std::fs::write(&file, entry(&one, "DE") + &entry(&other, "US")).unwrap();
        let pool = BuiltInProxy::Pool(ProxyPool::read(&file).unwrap());
        let rules = ["DE", "US"].map(|country| {
            let place = ProxyPlace {
                country: Some(country.to_owned()),
                ..ProxyPlace::default()
            };
            rule(ProxyRoad::BuiltIn {
                somewhere: true,
                place: Some(place),
            })
        });
        let addresses = AddressPolicy::default();
        let serve = async {
            let (mut first, _) = one.accept().await.unwrap();
            let (second, _) = other.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(first.read_buf(&mut head).await.unwrap() > 0);
            }
            // Were they asked one after the other, the first would have been left by now.
            let still_there = first.try_read(&mut [0]).unwrap_err().kind();
            assert_eq!(still_there, std::io::ErrorKind::WouldBlock);
            drop((first, second));
        };
        let (found, ()) = tokio::join!(look_for_living(&rules, (&pool, 0), &addresses), serve);
        let told = found.unwrap_err().to_string();
        assert!(
            told.starts_with("None of the operator's proxies in ")
                && told.ends_with(" answers; try again, or another place"),
            "{told}"
        );
    }

    async fn listener() -> TcpListener {
        TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
    }

    #[test]
    fn there_may_be_twenty_rules() {
        let addresses = AddressPolicy::default();
        let rules = |count| {
            super::rules(
                &vec![rule(ProxyRoad::Direct); count],
                (&BuiltInProxy::None, 0),
                &addresses,
            )
        };
        assert_eq!(rules(MOST_RULES).unwrap().routes.len(), MOST_RULES);
        let refused = rules(MOST_RULES + 1).unwrap_err().to_string();
        assert!(refused.contains("21") && refused.contains("20"), "{refused}");
    }

    #[test]
    fn a_password_is_not_in_what_is_logged() {
        let logged = format!("{:?}", external("http://proxy:1", Some("me")));
        assert!(!logged.contains("hunter2"), "{logged}");
    }
}
