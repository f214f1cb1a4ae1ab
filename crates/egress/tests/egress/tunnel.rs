//! CONNECT.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use wharf_egress::Options;

use crate::support::{LONG, Server, open, proxy, proxy_with, reason, status};

#[tokio::test]
async fn bytes_go_both_ways() {
    let (mirror, proxy) = (Server::mirror().await, proxy(open()).await);
    let mut client = proxy.client().await;
    client.connect(mirror.address).await;
    for text in ["one", "two", "three"] {
        client.send(text).await;
        assert_eq!(client.bytes(text.len()).await, text);
    }
}

#[tokio::test]
async fn each_side_may_close_its_half_first() {
    // The world speaks once the browser has closed its half.
    let patient = Server::start(|mut stream| async move {
        let mut question = String::new();
        stream.read_to_string(&mut question).await.unwrap();
        stream
            .write_all(format!("you said {question}").as_bytes())
            .await
            .unwrap();
    })
    .await;
    // The world closes its half and listens on.
    let heard = Arc::new(Notify::new());
    let tell = Arc::clone(&heard);
    let listening = Server::start(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            stream.write_all(b"go on").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            assert_eq!(said, "a long story");
            tell.notify_one();
        }
    })
    .await;
    let proxy = proxy(open()).await;
    let mut client = proxy.client().await;
    client.connect(patient.address).await;
    client.send("hello").await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "you said hello");

    let mut client = proxy.client().await;
    client.connect(listening.address).await;
    assert_eq!(client.rest().await, "go on");
    client.send("a long story").await;
    client.0.shutdown().await.unwrap();
    tokio::time::timeout(LONG, heard.notified()).await.unwrap();
}

#[tokio::test]
async fn what_the_browser_says_with_its_request_is_not_lost() {
    let (mirror, proxy) = (Server::mirror().await, proxy(open()).await);
    let mut client = proxy.client().await;
    client
        .send(format!("CONNECT {} HTTP/1.1\r\n\r\ntoo early", mirror.address))
        .await;
    client.head().await;
    assert_eq!(client.bytes(9).await, "too early");
}

#[tokio::test]
async fn much_arrives_whole_in_both_directions_at_once() {
    const LENGTH: usize = 20_000_000;
    let (mirror, proxy) = (Server::mirror().await, proxy(open()).await);
    let mut client = proxy.client().await;
    client.connect(mirror.address).await;
    let bytes: Vec<u8> = (0..LENGTH).map(|index| (index % 253) as u8).collect();
    let (mut read, mut write) = client.0.split();
    let mut back = vec![0; LENGTH];
    let (sent, got) = tokio::join!(write.write_all(&bytes), read.read_exact(&mut back));
    sent.unwrap();
    got.unwrap();
    assert!(back == bytes);
    let traffic = proxy.egress.traffic();
    assert_eq!(
        (traffic.total.sent, traffic.total.received),
        (LENGTH as u64, LENGTH as u64)
    );
}

#[tokio::test]
async fn a_closed_browser_closes_the_world_and_a_closed_world_the_browser() {
    let ended = Arc::new(Notify::new());
    let tell = Arc::clone(&ended);
    let origin = Server::start(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            // Reads the end, or the reset.
            let _ = stream.read_u8().await;
            tell.notify_one();
        }
    })
    .await;
    let proxy = proxy(open()).await;
    let mut client = proxy.client().await;
    client.connect(origin.address).await;
    drop(client);
    tokio::time::timeout(LONG, ended.notified()).await.unwrap();

    let short = Server::start(|stream| async move { drop(stream) }).await;
    let mut client = proxy.client().await;
    client.connect(short.address).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_tunnel_that_nobody_uses_ends_if_told_to() {
    let mirror = Server::mirror().await;
    let options = Options {
        idle_timeout: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    let proxy = proxy_with(open(), options).await;
    let mut client = proxy.client().await;
    client.connect(mirror.address).await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_half_closed_tunnel_waits_for_the_other_half_but_not_forever() {
    let silent = Server::start(|mut stream| async move {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        std::future::pending::<()>().await;
    })
    .await;
    let options = Options {
        half_closed_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let proxy = proxy_with(open(), options).await;
    let mut client = proxy.client().await;
    client.connect(silent.address).await;
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_tunnel_to_nowhere_is_refused_with_a_reason() {
    let closed = Server::mirror().await.address;
    let proxy = proxy(open()).await;
    for (authority, code, word) in [
        (closed.to_string(), 502, "connection-refused"),
        ("169.254.169.254:443".to_owned(), 403, "address-metadata"),
        ("does-not-exist.invalid:443".to_owned(), 502, "name-not-found"),
    ] {
        let answer = proxy
            .ask(&format!(
                "CONNECT {authority} HTTP/1.1\r\nconnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(
            (status(&answer), reason(&answer)),
            (code, Some(word)),
            "{authority}"
        );
    }
}
