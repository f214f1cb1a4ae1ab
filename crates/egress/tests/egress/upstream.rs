//! Other proxies on the way to the world.

use tokio::io::AsyncWriteExt;
use wharf_egress::{
    AddressPolicy, Options, Pattern, ProbeError, Road, Route, Rules, Scheme, Trust, Upstream,
};

use crate::fake_upstream::{AUTHORIZATION, CERTIFICATE, FakeUpstream, at};
use crate::support::{Server, head, header, open, proxy, proxy_with, reason, status};

fn through(upstream: Upstream) -> Rules {
    Rules {
        routes: vec![Route {
            pattern: None,
            road: Road::Upstream(upstream),
        }],
        ..open()
    }
}

fn trusting() -> Options {
    Options {
        trust: Trust::public_and(CERTIFICATE).unwrap(),
        ..Options::default()
    }
}

#[tokio::test]
async fn requests_and_tunnels_go_through_it_with_its_credentials() {
    for upstream in [FakeUpstream::http().await, FakeUpstream::https().await] {
        let mirror = Server::mirror().await;
        let proxy = proxy_with(through(upstream.with_password("secret")), trusting()).await;
        let mut client = proxy.client().await;
        client.connect(mirror.address).await;
        client.send("hello").await;
        assert_eq!(client.bytes(5).await, "hello");
        // The name is the upstream proxy's to resolve.
        let answer = proxy.get("http://Only-Known-There.invalid/a?b").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(
            answer.ends_with("\r\n\r\nhttp://only-known-there.invalid/a?b"),
            "{answer}"
        );
        for seen in upstream.heads.lock().unwrap().iter() {
            assert_eq!(header(seen, "proxy-authorization"), Some(AUTHORIZATION), "{seen}");
        }
        assert_eq!(upstream.accepted(), 2);
    }
}

#[tokio::test]
async fn an_origin_never_sees_the_credentials() {
    let (origin, upstream) = (Server::echo().await, FakeUpstream::http().await);
    let rules = Rules {
        routes: vec![Route {
            pattern: Some(Pattern::new("upstream").unwrap()),
            road: Road::Upstream(upstream.with_password("secret")),
        }],
        ..open()
    };
    let proxy = proxy(rules).await;
    let answer = proxy
        .ask(&format!(
            "GET http://{}/ HTTP/1.1\r\nproxy-authorization: {AUTHORIZATION}\r\nconnection: close\r\n\r\n",
            origin.address
        ))
        .await;
    assert!(
        status(&answer) == 200 && !answer.to_lowercase().contains("authorization"),
        "{answer}"
    );
    assert_eq!(upstream.accepted(), 0);
}

#[tokio::test]
async fn a_broken_one_is_named() {
    let upstream = FakeUpstream::http().await;
    let dead = Server::mirror().await.address;
    let web = web_server().await;
    let silent = Server::start(|stream| async move { drop(stream) }).await;
    let no_tls = Server::start(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    for (upstream, connect, get) in [
        (
            upstream.with_password("wrong"),
            "upstream-credentials",
            "upstream-credentials",
        ),
        (
            at(Scheme::Http, dead, None),
            "upstream-unreachable",
            "upstream-unreachable",
        ),
        (at(Scheme::Http, web.address, None), "upstream-answered-405", ""),
        (
            at(Scheme::Http, silent.address, None),
            "upstream-unreachable",
            "closed-early",
        ),
        (
            at(Scheme::Https, no_tls.address, None),
            "upstream-tls",
            "upstream-tls",
        ),
    ] {
        let name = upstream.to_string();
        let proxy = proxy(through(upstream)).await;
        let answer = proxy
            .ask("CONNECT example.invalid:443 HTTP/1.1\r\nconnection: close\r\n\r\n")
            .await;
        assert_eq!((status(&answer), reason(&answer)), (502, Some(connect)), "{name}");
        assert!(!answer.contains("secret"), "{answer}");
        let answer = proxy.get("http://example.invalid/").await;
        assert_eq!(reason(&answer).unwrap_or_default(), get, "{name}: {answer}");
    }
}

async fn web_server() -> Server {
    Server::start(|mut stream| async move {
        let request = head(&mut stream).await;
        let answer = if request.starts_with("CONNECT") {
            "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_probe_tells_what_is_wrong() {
    let (http, https) = (FakeUpstream::http().await, FakeUpstream::https().await);
    let mirror = Server::mirror().await;
    let dead = Server::mirror().await.address;
    let not_http = Server::start(|mut stream| async move {
        let _ = stream.write_all(b"220 mail ESMTP\r\n").await;
        head(&mut stream).await;
    })
    .await;
    let web = web_server().await;
    let (target, open) = (mirror.address.to_string(), open().addresses);
    let probe = |upstream: Upstream, options: Options| {
        let (target, open) = (target.clone(), open.clone());
        async move { upstream.probe(&target, &open, &options).await }
    };
    assert_eq!(
        probe(http.with_password("secret"), Options::default()).await,
        Ok(())
    );
    assert_eq!(probe(https.with_password("secret"), trusting()).await, Ok(()));
    assert_eq!(
        probe(http.with_password("wrong"), Options::default()).await,
        Err(ProbeError::CredentialsRefused)
    );
    assert!(matches!(
        probe(https.with_password("secret"), Options::default()).await,
        Err(ProbeError::Tls(_))
    ));
    for (address, expected) in [(not_http.address, true), (web.address, true), (dead, false)] {
        let probed = probe(at(Scheme::Http, address, None), Options::default()).await;
        assert_eq!(probed == Err(ProbeError::NotAProxy), expected, "{probed:?}");
        assert_eq!(
            matches!(probed, Err(ProbeError::Unreachable(_))),
            !expected,
            "{probed:?}"
        );
    }
    // A proxy that cannot reach the target is a proxy all the same.
    let unreachable = http
        .with_password("secret")
        .probe(&dead.to_string(), &open, &Options::default())
        .await;
    assert_eq!(unreachable, Ok(()));
}

#[tokio::test]
async fn what_a_tenant_trusts_does_not_speak_for_the_operators() {
    let upstream = FakeUpstream::https().await;
    let operators = Upstream {
        trusted: true,
        ..upstream.with_password("secret")
    };
    let probed = operators
        .probe("example.invalid:443", &open().addresses, &trusting())
        .await;
    assert!(matches!(probed, Err(ProbeError::Tls(_))), "{probed:?}");
    let proxy = proxy_with(through(operators), trusting()).await;
    let answer = proxy.get("http://example.invalid/").await;
    assert_eq!((status(&answer), reason(&answer)), (502, Some("upstream-tls")));
    assert!(
        upstream.heads.lock().unwrap().is_empty(),
        "it saw the credentials"
    );
}

#[tokio::test]
async fn a_tenants_must_have_an_open_address_and_the_operators_need_not() {
    let upstream = FakeUpstream::http().await;
    let tenants = upstream.with_password("secret");
    let operators = Upstream {
        trusted: true,
        ..tenants.clone()
    };
    let closed = AddressPolicy::default();
    let options = Options::default();
    assert!(matches!(
        tenants.probe("example.invalid:80", &closed, &options).await,
        Err(ProbeError::Address(_))
    ));
    assert_eq!(upstream.accepted(), 0);
    assert_eq!(
        operators.probe("example.invalid:80", &closed, &options).await,
        Ok(())
    );

    let closed = |upstream| Rules {
        addresses: AddressPolicy::default(),
        ..through(upstream)
    };
    let answer = proxy(closed(tenants)).await.get("http://example.invalid/").await;
    assert_eq!(
        (status(&answer), reason(&answer)),
        (403, Some("upstream-address-loopback"))
    );
    let operators = proxy(closed(operators)).await;
    assert_eq!(status(&operators.get("http://example.invalid/").await), 200);
    // What is plainly an address is judged here: the upstream proxy may stand in our own network.
    for host in ["127.0.0.1", "2852039166", "localhost", "[::ffff:10.0.0.1]"] {
        let answer = operators.get(&format!("http://{host}/")).await;
        assert_eq!(status(&answer), 403, "{host}: {answer}");
        let answer = operators
            .ask(&format!(
                "CONNECT {host}:443 HTTP/1.1\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(status(&answer), 403, "{host}: {answer}");
    }
    assert_eq!(upstream.accepted(), 2);
}
