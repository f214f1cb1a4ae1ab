//! A WebSocket over plain HTTP, which is upgraded through the proxy.

use tokio::io::AsyncWriteExt;

use crate::support::{Server, head, header, open, proxy, reason, status};

async fn granting() -> Server {
    Server::start(|mut stream| async move {
        let asked = head(&mut stream).await;
        assert_eq!(header(&asked, "connection"), Some("Upgrade"));
        assert_eq!(header(&asked, "upgrade"), Some("websocket"));
        assert_eq!(
            header(&asked, "sec-websocket-key"),
            Some("dGhlIHNhbXBsZSBub25jZQ==")
        );
        let granted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfirst";
        stream.write_all(granted.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

fn request(authority: impl std::fmt::Display, protocol: &str) -> String {
    format!(
        "GET http://{authority}/chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

#[tokio::test]
async fn it_is_carried_once_both_sides_agree() {
    let (origin, proxy) = (granting().await, proxy(open()).await);
    let mut client = proxy.client().await;
    client.send(request(origin.address, "websocket")).await;
    let head = client.head().await;
    assert_eq!(status(&head), 101);
    assert_eq!(
        header(&head, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(client.bytes(5).await, "first");
    for text in ["one", "two"] {
        client.send(text).await;
        assert_eq!(client.bytes(3).await, text);
    }
}

#[tokio::test]
async fn a_refusal_is_an_ordinary_answer() {
    let (origin, proxy) = (Server::echo().await, proxy(open()).await);
    let mut client = proxy.client().await;
    client.send(request(origin.address, "websocket")).await;
    assert_eq!(status(&client.head().await), 200);
}

#[tokio::test]
async fn no_other_protocol_is_upgraded_to() {
    let (origin, proxy) = (Server::echo().await, proxy(open()).await);
    let mut client = proxy.client().await;
    client.send(request(origin.address, "h2c")).await;
    let length = header(&client.head().await, "content-length")
        .unwrap()
        .parse()
        .unwrap();
    let seen = client.bytes(length).await;
    assert_eq!(
        (header(&seen, "upgrade"), header(&seen, "connection")),
        (None, None),
        "{seen}"
    );

    let pushy = Server::start(|mut stream| async move {
        head(&mut stream).await;
        let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
        stream.write_all(switched.as_bytes()).await.unwrap();
    })
    .await;
    let answer = proxy.get(&format!("http://{}/", pushy.address)).await;
    assert_eq!(
        (status(&answer), reason(&answer)),
        (502, Some("malformed-answer"))
    );
}
