//! Browsers and servers that do not keep to the rules.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;
use wharf_egress::Options;

use crate::support::{LONG, Server, head, open, proxy, proxy_with, reason, status};

#[tokio::test]
async fn a_malformed_request_is_told_so() {
    let long = format!("GET http://a.invalid/{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET http://a.invalid/ HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    let big = format!(
        "GET http://a.invalid/ HTTP/1.1\r\na: {}\r\n\r\n",
        "b".repeat(70_000)
    );
    let proxy = proxy(open()).await;
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        ("GET https://example.invalid/ HTTP/1.1\r\n\r\n", 400),
        ("GET ftp://example.invalid/ HTTP/1.1\r\n\r\n", 400),
        ("GET http:/// HTTP/1.1\r\n\r\n", 400),
        ("GET http://example.invalid:99999/ HTTP/1.1\r\n\r\n", 400),
        ("GET http://[::1/ HTTP/1.1\r\n\r\n", 400),
        ("GET http://1.2.3.4.5/ HTTP/1.1\r\n\r\n", 400),
        ("CONNECT example.invalid HTTP/1.1\r\n\r\n", 400),
        ("CONNECT example.invalid:0 HTTP/1.1\r\n\r\n", 400),
        ("CONNECT http://example.invalid:80/ HTTP/1.1\r\n\r\n", 400),
        ("CONNECT /:80 HTTP/1.1\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("GET http://example.invalid/ HTTP/9.9\r\n\r\n", 400),
        ("GET  http://example.invalid/  HTTP/1.1\r\n\r\n", 400),
        ("GET http://example.invalid/ HTTP/1.1\r\nbad header\r\n\r\n", 400),
        ("GET http://example.invalid/ HTTP/1.1\r\na: \0\r\n\r\n", 400),
        (
            "POST http://example.invalid/ HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            400,
        ),
        (
            "POST http://example.invalid/ HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            400,
        ),
        (
            "POST http://example.invalid/ HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
            400,
        ),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", 400),
        (&long, 414),
        (&many, 431),
        (&big, 431),
    ] {
        let answer = proxy.ask(request).await;
        let shown: String = request.chars().take(60).collect();
        let too_long = matches!(expected, 414 | 431) && matches!(status(&answer), 414 | 431);
        assert!(status(&answer) == expected || too_long, "{shown:?}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_dropped() {
    let options = Options {
        head_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let proxy = proxy_with(open(), options).await;
    for start in ["", "GET http://example.invalid/ HTTP/1.1\r\na: b\r\n"] {
        let mut client = proxy.client().await;
        client.send(start).await;
        let rest = client.rest().await;
        assert!(rest.is_empty() || status(&rest) == 408, "{rest}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_told() {
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(100_000));
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "\r\n\r\nHTTP/9 what\r\n\r\n".to_owned(),
        long,
    ] {
        let origin = Server::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                head(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.read_u8().await;
            }
        })
        .await;
        let answer = proxy(open())
            .await
            .get(&format!("http://{}/", origin.address))
            .await;
        assert_eq!(
            (status(&answer), reason(&answer)),
            (502, Some("malformed-answer"))
        );
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_here_too() {
    let origin = Server::start(|mut stream| async move {
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            .await
            .unwrap();
    })
    .await;
    let answer = proxy(open())
        .await
        .get(&format!("http://{}/", origin.address))
        .await;
    assert!(answer.ends_with("\r\n\r\nhalf"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let origin = Server::start(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.read_u8().await;
    })
    .await;
    let options = Options {
        answer_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let answer = proxy_with(open(), options)
        .await
        .get(&format!("http://{}/", origin.address))
        .await;
    assert_eq!((status(&answer), reason(&answer)), (504, Some("answer-timeout")));
}

/// Tells when the connection's peer is gone, after what the test wants of it.
async fn told_of_the_end(answer: &'static str) -> (Server, Arc<Notify>, Arc<Notify>) {
    let (begun, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_begun, tell_ended) = (Arc::clone(&begun), Arc::clone(&ended));
    let origin = Server::start(move |mut stream| {
        let (begun, ended) = (Arc::clone(&tell_begun), Arc::clone(&tell_ended));
        async move {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            begun.notify_one();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            ended.notify_one();
        }
    })
    .await;
    (origin, begun, ended)
}

#[tokio::test]
async fn a_browser_that_leaves_takes_the_other_socket_with_it() {
    let waiting = "GET http://ORIGIN/ HTTP/1.1\r\n\r\n";
    let uploading = "POST http://ORIGIN/ HTTP/1.1\r\ncontent-length: 1000\r\n\r\nhalf";
    let downloading = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf";
    let proxy = proxy(open()).await;
    for (request, answer) in [
        (waiting, ""),
        (uploading, ""),
        (waiting, downloading),
        (uploading, downloading),
    ] {
        let (origin, begun, ended) = told_of_the_end(answer).await;
        let mut client = proxy.client().await;
        client
            .send(request.replace("ORIGIN", &origin.address.to_string()))
            .await;
        timeout(LONG, begun.notified()).await.unwrap();
        drop(client);
        timeout(LONG, ended.notified())
            .await
            .unwrap_or_else(|_| panic!("{request} {answer} stays open"));
    }
}

#[tokio::test]
async fn a_world_that_takes_nothing_is_given_up() {
    let origin = Server::start(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let options = Options {
        stall_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    let proxy = proxy_with(open(), options).await;
    let requests = [
        format!(
            "POST http://{}/ HTTP/1.1\r\ncontent-length: 1000000000\r\n\r\n",
            origin.address
        ),
        format!("CONNECT {} HTTP/1.1\r\n\r\n", origin.address),
    ];
    for request in requests {
        let mut client = proxy.client().await;
        client.send(&request).await;
        let (mut read, mut write) = client.0.into_split();
        let endless = async { while write.write_all(&[0; 65_536]).await.is_ok() {} };
        timeout(LONG, endless)
            .await
            .unwrap_or_else(|_| panic!("{request} goes on"));
        let mut answer = Vec::new();
        let _ = read.read_to_end(&mut answer).await;
    }
}
