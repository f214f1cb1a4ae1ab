//! The figures equal what the other side of the socket counted.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use wharf_egress::{Bytes, Options, Pattern, Road, Route, Rules, Trust};

use crate::fake_upstream::{CERTIFICATE, Counting, Counts, FakeUpstream};
use crate::support::{Server, head, header, open, proxy, proxy_with};

/// An origin that counts, and answers any request with 100,000 bytes.
async fn counting() -> (Server, Arc<Counts>) {
    let counts = Arc::<Counts>::default();
    let counted = Arc::clone(&counts);
    let server = Server::start(move |stream| {
        let mut stream = Counting(stream, Arc::clone(&counted));
        async move {
            head(&mut stream).await;
            let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec();
            answer.resize(answer.len() + 100_000, b'x');
            stream.write_all(&answer).await.unwrap();
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    })
    .await;
    (server, counts)
}

fn route(pattern: &str, road: Road) -> Route {
    Route {
        pattern: Some(Pattern::new(pattern).unwrap()),
        road,
    }
}

#[tokio::test]
async fn direct_bytes_are_what_the_origin_saw() {
    let (origin, counts) = counting().await;
    let proxy = proxy(open()).await;
    let answer = proxy.get(&format!("http://{}/", origin.address)).await;
    assert!(answer.len() > 100_000);
    let mut client = proxy.client().await;
    client.connect(origin.address).await;
    client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let length = header(&client.head().await, "content-length")
        .unwrap()
        .parse()
        .unwrap();
    client.bytes(length).await;
    let traffic = proxy.egress.stop().await;
    assert_eq!(traffic.total, counts.read());
    assert_eq!(traffic.proxied, Bytes::default());
}

#[tokio::test]
async fn each_pattern_takes_its_road_and_is_counted_there() {
    let (plain, tls) = (FakeUpstream::http().await, FakeUpstream::https().await);
    let (origin, counts) = counting().await;
    let rules = Rules {
        routes: vec![
            route(
                r"(^|\.)first\.invalid$",
                Road::Upstream(plain.with_password("secret")),
            ),
            route(r"^127\.0\.0\.1$", Road::Direct { counted: true }),
            route(r"\.invalid$", Road::Upstream(tls.with_password("secret"))),
            route("", Road::Direct { counted: true }),
        ],
        ..open()
    };
    let options = Options {
        trust: Trust::public_and(CERTIFICATE).unwrap(),
        ..Options::default()
    };
    let proxy = proxy_with(rules, options).await;
    for host in ["a.first.invalid", "FIRST.invalid.", "second.invalid"] {
        let answer = proxy.get(&format!("http://{host}/")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    proxy.get(&format!("http://{}/", origin.address)).await;
    let routes = proxy.egress.traffic_by_route();
    assert_eq!(plain.heads.lock().unwrap().len(), 2);
    assert_eq!(tls.heads.lock().unwrap().len(), 1);
    let traffic = proxy.egress.stop().await;
    // TLS says goodbye when it is dropped or not at all, so its last bytes may come after the look at the routes.
    assert_eq!(
        [routes[0], routes[1], routes[3]],
        [plain.counts.read(), counts.read(), Bytes::default()]
    );
    assert_eq!(routes[2], tls.counts.read());
    assert_eq!(
        traffic.total,
        routes.iter().fold(Bytes::default(), |sum, bytes| sum + *bytes)
    );
    assert_eq!(traffic.proxied, traffic.total);
}

#[tokio::test]
async fn what_no_route_matches_is_not_proxied() {
    let (origin, counts) = counting().await;
    let upstream = FakeUpstream::http().await;
    let rules = Rules {
        routes: vec![
            route("uncounted", Road::Direct { counted: false }),
            route("invalid", Road::Upstream(upstream.with_password("secret"))),
        ],
        ..open()
    };
    let proxy = proxy(rules).await;
    proxy.get(&format!("http://{}/", origin.address)).await;
    proxy.get("http://there.invalid/").await;
    let traffic = proxy.egress.stop().await;
    assert_eq!(traffic.proxied, upstream.counts.read());
    assert_eq!(traffic.total - traffic.proxied, counts.read());
}
