//! Rules change while the browser runs.

use std::sync::Arc;

use wharf_egress::{Blocklist, RequestKind, Road, Route, Rules};

use crate::fake_upstream::FakeUpstream;
use crate::support::{Server, header, open, proxy, reason, status};

#[tokio::test]
async fn new_rules_hold_for_the_next_request_and_tunnel() {
    let (origin, mirror, proxy) = (Server::echo().await, Server::mirror().await, proxy(open()).await);
    let mut client = proxy.client().await;
    let request = format!("GET http://{}/ HTTP/1.1\r\nhost: x\r\n\r\n", origin.address);
    client.send(&request).await;
    let head = client.head().await;
    client
        .bytes(header(&head, "content-length").unwrap().parse().unwrap())
        .await;
    let mut tunnel = proxy.client().await;
    tunnel.connect(mirror.address).await;

    proxy.egress.set_rules(Rules::default());
    // On a connection that was kept, too; and what runs goes on.
    client.send(&request).await;
    assert_eq!(reason(&client.head().await), Some("address-loopback"));
    let refused = proxy
        .ask(&format!(
            "CONNECT {} HTTP/1.1\r\nconnection: close\r\n\r\n",
            mirror.address
        ))
        .await;
    assert_eq!(status(&refused), 403);
    tunnel.send("still").await;
    assert_eq!(tunnel.bytes(5).await, "still");

    let upstream = FakeUpstream::http().await;
    proxy.egress.set_rules(Rules {
        routes: vec![Route {
            pattern: None,
            road: Road::Upstream(upstream.with_password("secret")),
        }],
        ..open()
    });
    let before = proxy.egress.traffic().total;
    let answer = proxy.get(&format!("http://{}/", origin.address)).await;
    assert_eq!(
        (status(&answer), upstream.accepted(), origin.accepted()),
        (200, 1, 1)
    );
    assert_eq!(proxy.egress.traffic_by_route(), [proxy.egress.traffic().proxied]);
    assert_eq!(
        proxy.egress.traffic().total - before,
        proxy.egress.traffic().proxied
    );
}

struct Ads;

impl Blocklist for Ads {
    fn blocks_host(&self, host: &str) -> bool {
        host == "ads.example"
    }

    fn blocks_url(&self, url: &str, referrer: Option<&str>, kind: RequestKind) -> bool {
        // Its host is let through, for this one URL.
        if url.ends_with("/needed.js") {
            return false;
        }
        url.starts_with("http://ads.example/")
            || url.ends_with("/banner.png")
                && kind == RequestKind::Image
                && referrer == Some("http://page.example/")
    }
}

#[tokio::test]
async fn blocked_hosts_and_urls_are_not_fetched() {
    let origin = Server::echo().await;
    let rules = Rules {
        blocked: Some(Arc::new(Ads)),
        ..open()
    };
    let proxy = proxy(rules).await;
    for blocked in [
        "CONNECT Ads.Example.:443 HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        "GET http://Ads.Example.:80/x HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        format!(
            "GET http://{}/banner.png HTTP/1.1\r\nconnection: close\r\naccept: image/avif,*/*\r\nreferer: http://page.example/\r\n\r\n",
            origin.address
        ),
    ] {
        let answer = proxy.ask(&blocked).await;
        assert_eq!(
            (status(&answer), reason(&answer)),
            (403, Some("blocked")),
            "{blocked}"
        );
    }
    assert_eq!(origin.accepted(), 0);
    // Over plain HTTP only the URL counts: what is not blocked is looked for.
    let spared = proxy.get("http://ads.example/needed.js").await;
    assert_ne!(reason(&spared), Some("blocked"), "{spared}");
    assert_eq!(
        status(&proxy.get(&format!("http://{}/banner.png", origin.address)).await),
        200
    );
}
