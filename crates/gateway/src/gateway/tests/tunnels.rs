//! What happens after the upgrade.

use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_oneof, proptest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use wharf_tunnel::testing::{Arrived, FarEnd, HANDSHAKE, SWITCHING, get, send};

async fn tunnel(served: &Served, worker: &mut FarEnd) -> (TcpStream, Arrived) {
    let (reply, client) = get(served.address, &served.target(worker.address), HANDSHAKE).await;
    assert_eq!(reply.status, 101, "{reply:?}");
    (client, soon(worker.next()).await)
}

async fn write_chunks(mut stream: impl AsyncWriteExt + Unpin, chunks: &[Vec<u8>]) {
    for chunk in chunks {
        stream.write_all(chunk).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

async fn read_all(mut stream: impl AsyncReadExt + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let size = prop_oneof![0..200_usize, 10_000..200_000_usize];
    proptest::collection::vec((size, proptest::num::u64::ANY), 0..6).prop_map(|chunks| {
        let bytes = |(size, seed)| {
            let mut bytes = vec![0; size];
            wharf_domain::Entropy::fill(&SeededEntropy::new(seed), &mut bytes);
            bytes
        };
        chunks.into_iter().map(bytes).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Bytes, not frames: these are no WebSocket at all.
    #[test]
    fn every_byte_arrives_unchanged_both_ways(up in chunks(), down in chunks()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (received_up, received_down) = runtime.block_on(async {
            let mut worker = FarEnd::answering(SWITCHING).await;
            let served = Served::start().await;
            let (client, far) = tunnel(&served, &mut worker).await;
            let (client_read, client_write) = client.into_split();
            let (far_read, far_write) = far.stream.into_split();
            let ((), (), received_up, received_down) = soon(async { tokio::join!(
                write_chunks(client_write, &up),
                write_chunks(far_write, &down),
                read_all(far_read),
                read_all(client_read),
            ) }).await;
            (received_up, received_down)
        });
        prop_assert!(received_up == up.concat(), "up");
        prop_assert!(received_down == down.concat(), "down");
    }
}

#[tokio::test]
async fn the_worker_sees_the_token_and_the_handshake_and_nothing_else_of_the_client() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    let more = "origin: https://evil.example\r\nsec-websocket-extensions: permessage-deflate\r\ncookie: a=b\r\n\
                sec-websocket-protocol: chat\r\nx-bb-api-key: secret\r\n";
    let target = served.target(worker.address);
    let (reply, _client) = get(served.address, &target, &format!("{HANDSHAKE}{more}")).await;
    assert!(
        reply
            .head
            .contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{reply:?}"
    );
    let head = soon(worker.next()).await.head;
    let token = served.token(worker.address);
    assert!(
        head.starts_with(&format!("GET /connect?signingKey={token} HTTP/1.1\r\nhost: 127")),
        "{head}"
    );
    for present in [
        "sec-websocket-key: dGhl",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat",
    ] {
        assert!(head.contains(present), "{present}: {head}");
    }
    for absent in ["origin", "extensions", "cookie", "secret"] {
        assert!(!head.contains(absent), "{absent}: {head}");
    }
}

#[tokio::test]
async fn words_that_come_with_the_handshake_are_not_lost() {
    let mut worker = FarEnd::answering(&format!("{SWITCHING}early from the worker")).await;
    let served = Served::start().await;
    let target = served.target(worker.address);
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n{HANDSHAKE}\r\nearly from the client");
    let (reply, mut client) = send(served.address, &request).await;
    assert_eq!(reply.status, 101, "{reply:?}");
    let mut far = soon(worker.next()).await.stream;
    let mut words = [0; 21];
    soon(far.read_exact(&mut words)).await.unwrap();
    assert_eq!(&words, b"early from the client");
    soon(client.read_exact(&mut words)).await.unwrap();
    assert_eq!(&words, b"early from the worker");
}

#[tokio::test]
async fn either_side_that_closes_closes_the_other() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;

    let (client, mut far) = tunnel(&served, &mut worker).await;
    drop(client);
    assert_eq!(soon(far.stream.read(&mut [0; 8])).await.unwrap(), 0);

    let (mut client, far) = tunnel(&served, &mut worker).await;
    drop(far);
    assert_eq!(soon(client.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_is_killed_closes_the_other_side() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    let (client, mut far) = tunnel(&served, &mut worker).await;
    // An immediate reset, as when a process dies with bytes unread.
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(soon(far.stream.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_stays_after_the_worker_has_left_holds_no_tunnel_open() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    let (mut client, far) = tunnel(&served, &mut worker).await;
    let Arrived { stream, .. } = far;
    let (mut far_read, mut far_write) = stream.into_split();
    far_write.shutdown().await.unwrap();
    assert_eq!(soon(client.read(&mut [0; 8])).await.unwrap(), 0);
    // The client neither closes nor speaks; the other direction is closed for it.
    assert_eq!(soon(far_read.read(&mut [0; 8])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_gateway_that_stops_cuts_its_tunnels() {
    let mut worker = FarEnd::answering(SWITCHING).await;
    let served = Served::start().await;
    let (mut client, mut far) = tunnel(&served, &mut worker).await;
    soon(served.gateway.shutdown()).await;
    assert_eq!(soon(far.stream.read(&mut [0; 8])).await.unwrap(), 0);
    assert_eq!(soon(client.read(&mut [0; 8])).await.unwrap(), 0);
}

/// The answer of a worker that takes a client's bytes in chunks.
fn by_hop() -> String {
    SWITCHING.replacen("\r\n\r\n", "\r\nx-wharf-hop: 1\r\n\r\n", 1)
}

#[tokio::test]
async fn a_worker_that_asks_for_it_is_told_that_the_client_left() {
    for killed in [false, true] {
        let mut worker = FarEnd::answering(&by_hop()).await;
        let served = Served::start().await;
        let (mut client, mut far) = tunnel(&served, &mut worker).await;
        assert!(far.head.contains("x-wharf-hop: 1"), "{}", far.head);
        client.write_all(b"abc").await.unwrap();
        let mut chunk = [0; 5];
        soon(far.stream.read_exact(&mut chunk)).await.unwrap();
        assert_eq!(&chunk, b"\0\x03abc");
        if killed {
            client.set_zero_linger().unwrap();
        }
        drop(client);
        assert_eq!(soon(read_all(&mut far.stream)).await, b"\0\0\x01");
    }
}

#[tokio::test]
async fn a_worker_that_asks_for_it_is_told_of_a_client_that_left_before_its_answer() {
    let mut worker = FarEnd::answering(&by_hop()).await;
    let served = Served::start().await;
    let target = served.target(worker.address);
    let mut client = TcpStream::connect(served.address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n{HANDSHAKE}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client.set_zero_linger().unwrap();
    drop(client);
    let mut far = soon(worker.next()).await;
    assert_eq!(soon(read_all(&mut far.stream)).await, b"\0\0\x01");
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_and_passes_on_the_workers_last_words() {
    let mut worker = FarEnd::answering(&by_hop()).await;
    let served = Served::start().await;
    let (client, mut far) = tunnel(&served, &mut worker).await;
    let answering = async {
        assert_eq!(read_all(&mut far.stream).await, b"\0\0\x02");
        far.stream.write_all(b"closed with 1012").await.unwrap();
        drop(far);
    };
    let ((), (), words) =
        soon(async { tokio::join!(served.gateway.shutdown(), answering, read_all(client)) }).await;
    assert_eq!(words, b"closed with 1012");
}

#[tokio::test]
async fn a_gateway_that_stops_does_not_wait_for_a_worker_that_hangs() {
    let mut worker = FarEnd::answering(&by_hop()).await;
    let served = Served::start().await;
    let (mut client, _far) = tunnel(&served, &mut worker).await;
    soon(served.gateway.shutdown()).await;
    assert_eq!(soon(client.read(&mut [0; 8])).await.unwrap(), 0);
}
