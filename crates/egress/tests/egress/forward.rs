//! Requests in absolute form.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::support::{Server, head, header, open, proxy, reason, status};

#[tokio::test]
async fn a_get_is_answered_by_the_origin() {
    let (origin, proxy) = (Server::echo().await, proxy(open()).await);
    let answer = proxy
        .ask(&format!(
            "GET http://{}/a/b?c=d HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: Test\r\nProxy-Connection: keep-alive\r\n\
             Proxy-Authorization: Basic c2VjcmV0\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nCookie: e=f\r\n\r\n",
            origin.address
        ))
        .await;
    assert_eq!(status(&answer), 200);
    let (_, seen) = answer.split_once("\r\n\r\n").unwrap();
    let expected = format!(
        "GET /a/b?c=d HTTP/1.1\r\nHost: {}\r\nUser-Agent: Test\r\nCookie: e=f\r\n\r\n",
        origin.address
    );
    assert_eq!(seen.to_lowercase(), expected.to_lowercase());
    assert!(seen.contains("User-Agent: Test"), "{seen}");
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let (origin, proxy) = (Server::echo().await, proxy(open()).await);
    let mut client = proxy.client().await;
    for turn in 0..20 {
        client
            .send(format!(
                "GET http://{}/{turn} HTTP/1.1\r\nhost: x\r\n\r\n",
                origin.address
            ))
            .await;
        let head = client.head().await;
        let body = client
            .bytes(header(&head, "content-length").unwrap().parse().unwrap())
            .await;
        assert!(body.starts_with(&format!("GET /{turn} ")), "{body}");
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn another_origin_on_the_same_connection_gets_its_own() {
    let (first, second, proxy) = (Server::echo().await, Server::echo().await, proxy(open()).await);
    let mut client = proxy.client().await;
    for origin in [&first, &second, &first] {
        client
            .send(format!(
                "GET http://{}/ HTTP/1.1\r\nhost: x\r\n\r\n",
                origin.address
            ))
            .await;
        let head = client.head().await;
        let body = client
            .bytes(header(&head, "content-length").unwrap().parse().unwrap())
            .await;
        assert!(
            body.to_lowercase().contains(&format!("host: {}", origin.address)),
            "{body}"
        );
    }
    assert_eq!((first.accepted(), second.accepted()), (2, 1));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (may_answer, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, tell) = (Arc::clone(&may_answer), Arc::clone(&answered));
    let origin = Server::start(move |mut stream| {
        let (told, tell) = (Arc::clone(&told), Arc::clone(&tell));
        async move {
            let request = head(&mut stream).await;
            assert_eq!(header(&request, "transfer-encoding"), Some("chunked"));
            let mut part = [0; 9];
            stream.read_exact(&mut part).await.unwrap();
            assert_eq!(&part, b"4\r\nfirs\r\n");
            // The answer begins while the request has not ended.
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
                .await
                .unwrap();
            told.notified().await;
            stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
            let mut rest = [0; 11];
            stream.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"1\r\nt\r\n0\r\n\r\n");
            tell.notify_one();
        }
    })
    .await;
    let proxy = proxy(open()).await;
    let mut client = proxy.client().await;
    client
        .send(format!(
            "POST http://{}/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfirs\r\n",
            origin.address
        ))
        .await;
    let head = client.head().await;
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"), "{head}");
    assert_eq!(client.bytes(8).await, "3\r\none\r\n");
    may_answer.notify_one();
    assert_eq!(client.bytes(13).await, "3\r\ntwo\r\n0\r\n\r\n");
    client.send("1\r\nt\r\n0\r\n\r\n").await;
    tokio::time::timeout(crate::support::LONG, answered.notified())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_large_body_with_a_length_arrives_whole() {
    const LENGTH: usize = 5_000_000;
    let origin = Server::start(|mut stream| async move {
        let request = head(&mut stream).await;
        assert_eq!(header(&request, "content-length"), Some("5000000"));
        let mut body = vec![0; LENGTH];
        stream.read_exact(&mut body).await.unwrap();
        assert!(
            body.iter()
                .enumerate()
                .all(|(index, byte)| *byte == (index % 251) as u8)
        );
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
    })
    .await;
    let proxy = proxy(open()).await;
    let mut client = proxy.client().await;
    let body: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
    client
        .send(format!(
            "POST http://{}/ HTTP/1.1\r\ncontent-length: {LENGTH}\r\n\r\n",
            origin.address
        ))
        .await;
    client.send(&body).await;
    assert_eq!(header(&client.head().await, "content-length"), Some("5000000"));
    let mut got = vec![0; LENGTH];
    client.0.read_exact(&mut got).await.unwrap();
    assert!(got == body);
}

/// What an origin answers, and what the browser must get of it.
#[tokio::test]
async fn answers_keep_their_framing() {
    for (answer, expected) in [
        (
            "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
        ),
        (
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
        ),
        (
            "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok",
        ),
        (
            "HTTP/1.0 200 OK\r\nX: y\r\n\r\nuntil the end",
            "HTTP/1.1 200 OK\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\nD\r\nuntil the end\r\n0\r\n\r\n",
        ),
        (
            "HTTP/1.1 407 Mine\r\nContent-Length: 0\r\nProxy-Authenticate: Basic\r\nKeep-Alive: 5\r\nX-Wharf-Egress: blocked\r\n\r\n",
            "HTTP/1.1 407 Mine\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        let origin = Server::start(move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let proxy = proxy(open()).await;
        let mut client = proxy.client().await;
        client
            .send(format!(
                "GET http://{}/ HTTP/1.1\r\nhost: x\r\n\r\n",
                origin.address
            ))
            .await;
        assert_eq!(client.bytes(expected.len()).await, expected);
    }
}

#[tokio::test]
async fn the_answer_to_head_has_no_body() {
    let origin = Server::start(|mut stream| async move {
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            .await
            .unwrap();
        // The connection stays, so that a proxy which waits for a body would wait.
        let _ = stream.read_u8().await;
    })
    .await;
    let proxy = proxy(open()).await;
    let answer = proxy
        .ask(&format!(
            "HEAD http://{}/ HTTP/1.1\r\nconnection: close\r\n\r\n",
            origin.address
        ))
        .await;
    assert_eq!(header(&answer, "content-length"), Some("1000"));
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_redirect_is_the_browsers_business() {
    let origin = Server::start(|mut stream| async move {
        head(&mut stream).await;
        let redirect = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(redirect.as_bytes()).await.unwrap();
    })
    .await;
    let proxy = proxy(open()).await;
    let answer = proxy.get(&format!("http://{}/", origin.address)).await;
    assert_eq!(
        (status(&answer), header(&answer, "location")),
        (302, Some("http://169.254.169.254/"))
    );
    let followed = proxy.get("http://169.254.169.254/").await;
    assert_eq!(
        (status(&followed), reason(&followed)),
        (403, Some("address-metadata"))
    );
}

#[tokio::test]
async fn a_kept_connection_that_the_origin_has_closed_is_replaced() {
    let closed = Arc::new(Notify::new());
    let tell = Arc::clone(&closed);
    let origin = Server::start(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            head(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            // The proxy closes its half when it has seen that.
            let _ = stream.read_u8().await;
            tell.notify_one();
        }
    })
    .await;
    let proxy = proxy(open()).await;
    let mut client = proxy.client().await;
    for turn in 1..=5 {
        client
            .send(format!(
                "GET http://{}/ HTTP/1.1\r\nhost: x\r\n\r\n",
                origin.address
            ))
            .await;
        assert!(client.head().await.starts_with("HTTP/1.1 200"));
        assert_eq!(client.bytes(2).await, "ok");
        tokio::time::timeout(crate::support::LONG, closed.notified())
            .await
            .unwrap();
        assert_eq!(origin.accepted(), turn);
    }
}

/// The browser repeats the request by itself, as it would with no proxy between.
#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_request_ends_the_browsers_too() {
    let origin = Server::start(|mut stream| async move {
        head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
        head(&mut stream).await;
    })
    .await;
    let proxy = proxy(open()).await;
    let mut client = proxy.client().await;
    let request = format!("GET http://{}/ HTTP/1.1\r\nhost: x\r\n\r\n", origin.address);
    client.send(&request).await;
    client.head().await;
    client.bytes(2).await;
    client.send(&request).await;
    assert_eq!(client.rest().await, "");

    // Without an earlier answer there is nothing to be kept, and a page says what happened.
    let short = Server::start(|mut stream| async move {
        head(&mut stream).await;
    })
    .await;
    let answer = proxy.get(&format!("http://{}/", short.address)).await;
    assert_eq!((status(&answer), reason(&answer)), (502, Some("closed-early")));
}
