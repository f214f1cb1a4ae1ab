//! What is answered before the upgrade.

use super::*;
use wharf_tunnel::testing::{FarEnd, HANDSHAKE, SWITCHING, get, send};

#[tokio::test]
async fn a_client_without_a_good_token_is_refused_before_any_worker_is_asked() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    let foreign = Served::start().await.token(worker.address);
    for (target, says) in [
        ("/", "connectUrl"),
        ("/?signingKey=nonsense", "not valid"),
        (&*format!("/?signingKey={foreign}"), "not valid"),
    ] {
        let (reply, _) = get(served.address, target, HANDSHAKE).await;
        assert_eq!(reply.status, 401, "{target}: {reply:?}");
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["statusCode"], 401);
        assert_eq!(body["error"], "Unauthorized");
        assert!(body["message"].as_str().unwrap().contains(says), "{body}");
    }
    assert!(worker.is_untouched());
}

#[tokio::test]
async fn a_token_ends_with_its_session() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    served.clock.advance(Duration::from_secs(60));
    let (reply, _) = get(served.address, &served.target(worker.address), HANDSHAKE).await;
    assert_eq!(reply.status, 410, "{reply:?}");
    assert!(reply.body.contains("the session has ended"), "{reply:?}");
    assert!(worker.is_untouched());
}

#[tokio::test]
async fn what_is_no_websocket_handshake_is_told_what_to_do() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    let target = served.target(worker.address);
    for (headers, status, header) in [
        (String::new(), 426, "upgrade: websocket"),
        (
            HANDSHAKE.replace("version: 13", "version: 8"),
            426,
            "sec-websocket-version: 13",
        ),
        (
            HANDSHAKE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
            400,
            "application/json",
        ),
    ] {
        let (reply, _) = get(served.address, &target, &headers).await;
        assert_eq!(reply.status, status, "{headers}: {reply:?}");
        assert!(reply.head.contains(header), "{reply:?}");
    }
    let (reply, _) = get(served.address, &target, "").await;
    assert!(reply.body.contains("connectOverCDP"), "{reply:?}");
    assert!(worker.is_untouched());
}

#[tokio::test]
async fn a_workers_refusal_is_passed_on_as_it_is() {
    let body = r#"{"statusCode":410,"error":"Gone","message":"over"}"#;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 410 Gone\r\ncontent-type: application/json\r\nretry-after: 7\r\nx-inner: 1\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    let worker = FarEnd::answering(&answer).await;
    let served = Served::start().await;
    let (reply, _) = get(served.address, &served.target(worker.address), HANDSHAKE).await;
    assert_eq!((reply.status, &*reply.body), (410, body));
    assert!(
        reply.head.contains("retry-after: 7") && reply.head.contains("application/json"),
        "{reply:?}"
    );
    assert!(!reply.head.contains("x-inner"), "{reply:?}");
}

#[tokio::test]
async fn a_lax_101_never_reaches_the_client() {
    for (from, to) in [
        ("upgrade: websocket\r\n", ""),
        ("connection: Upgrade\r\n", ""),
        ("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", ""),
        (
            "\r\n\r\n",
            "\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n",
        ),
    ] {
        let worker = FarEnd::answering(&SWITCHING.replace(from, to)).await;
        let served = Served::start().await;
        let (reply, _) = get(served.address, &served.target(worker.address), HANDSHAKE).await;
        assert_eq!(reply.status, 502, "without {from:?}: {reply:?}");
    }
}

#[tokio::test]
async fn a_worker_that_is_gone_is_a_bad_gateway() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let served = Served::start().await;
    let (reply, _) = get(served.address, &served.target(nobody), HANDSHAKE).await;
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(reply.body.contains("create a new session"), "{reply:?}");
}

#[tokio::test]
async fn a_head_without_end_is_refused_and_a_large_one_is_not_repeated() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    let headers = format!("{HANDSHAKE}cookie: {}\r\n", "x".repeat(64 * 1024));
    let (reply, _) = get(served.address, &served.target(worker.address), &headers).await;
    assert_eq!(reply.status, 101, "{reply:?}");
    let head = soon(worker.next()).await.head;
    assert!(head.len() < 2_000 && !head.contains("cookie"), "{head}");

    let endless = "x".repeat(1024 * 1024);
    let (reply, _) = send(served.address, &format!("GET / HTTP/1.1\r\ncookie: {endless}")).await;
    assert_eq!(reply.status, 431, "{reply:?}");
}

#[tokio::test]
async fn selenium_hears_in_its_own_words_that_it_is_not_served() {
    let served = Served::start().await;
    for target in ["/webdriver", "/webdriver/session", "/webdriver/session/1/url"] {
        let request = format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        let (reply, _) = send(served.address, &request).await;
        assert_eq!(reply.status, 501, "{reply:?}");
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["value"]["error"], "unknown command");
        assert_eq!(body["value"]["stacktrace"], "");
        assert!(
            body["value"]["message"].as_str().unwrap().contains("connectUrl"),
            "{body}"
        );
    }
}
