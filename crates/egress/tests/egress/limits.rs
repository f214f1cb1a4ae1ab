//! Bounds on what one browser may have at once, and the end of it all.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::timeout;
use wharf_egress::Options;

use crate::support::{LONG, Server, head, header, open, proxy, proxy_with, reason, status};

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let mirror = Server::mirror().await;
    let options = Options {
        connections: 3,
        ..Options::default()
    };
    let proxy = proxy_with(open(), options).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = proxy.client().await;
        client.connect(mirror.address).await;
        clients.push(client);
    }
    let mut fourth = proxy.client().await;
    fourth
        .send(format!("CONNECT {} HTTP/1.1\r\n\r\n", mirror.address))
        .await;
    // It would have been answered before these.
    for client in &mut clients {
        client.send("x").await;
        client.bytes(1).await;
    }
    assert_eq!(mirror.accepted(), 3);
    drop(clients.pop());
    assert!(fourth.head().await.starts_with("HTTP/1.1 200"));
    fourth.send("y").await;
    assert_eq!(fourth.bytes(1).await, "y");
}

#[tokio::test]
async fn resting_connections_give_way_and_busy_ones_do_not() {
    let (echo, mirror) = (Server::echo().await, Server::mirror().await);
    let stuck = Server::start(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.read_u8().await;
    })
    .await;
    let options = Options {
        exchanges: 2,
        head_timeout: Duration::from_secs(2),
        ..Options::default()
    };
    let proxy = proxy_with(open(), options).await;
    // Tunnels take no slot.
    let mut tunnels = Vec::new();
    for _ in 0..5 {
        let mut client = proxy.client().await;
        client.connect(mirror.address).await;
        tunnels.push(client);
    }
    let get = |server: &Server| format!("GET http://{}/ HTTP/1.1\r\nhost: x\r\n\r\n", server.address);
    let mut resting = Vec::new();
    for _ in 0..2 {
        let mut client = proxy.client().await;
        client.send(get(&echo)).await;
        let length = header(&client.head().await, "content-length")
            .unwrap()
            .parse()
            .unwrap();
        client.bytes(length).await;
        resting.push(client);
    }
    let mut busy = [proxy.client().await, proxy.client().await];
    for client in &mut busy {
        client.send(get(&stuck)).await;
    }
    for mut client in resting {
        assert_eq!(client.rest().await, "");
    }
    // Now both slots are taken by those who wait for their answers.
    let answer = proxy.get(&format!("http://{}/", echo.address)).await;
    assert_eq!((status(&answer), reason(&answer)), (503, Some("limit-exchanges")));
    for client in &mut tunnels {
        client.send("x").await;
        assert_eq!(client.bytes(1).await, "x");
    }
}

#[tokio::test]
async fn many_tunnels_at_once_all_work() {
    let (mirror, proxy) = (Server::mirror().await, proxy(open()).await);
    let mut clients = Vec::new();
    for _ in 0..300 {
        let mut client = proxy.client().await;
        client
            .send(format!("CONNECT {} HTTP/1.1\r\n\r\n", mirror.address))
            .await;
        clients.push(client);
    }
    for client in &mut clients {
        assert!(client.head().await.starts_with("HTTP/1.1 200"));
    }
    for client in &mut clients {
        client.send("ping").await;
    }
    for client in &mut clients {
        assert_eq!(client.bytes(4).await, "ping");
    }
}

#[tokio::test]
async fn stop_ends_everything() {
    let ended = Arc::new(Notify::new());
    let tell = Arc::clone(&ended);
    let origin = Server::start(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes).await;
            tell.notify_one();
        }
    })
    .await;
    let proxy = proxy(open()).await;
    let mut tunnel = proxy.client().await;
    tunnel.connect(origin.address).await;
    let mut waiting = proxy.client().await;
    waiting
        .send(format!("GET http://{}/ HTTP/1.1\r\n\r\n", origin.address))
        .await;
    let mut resting = proxy.client().await;
    resting.send("GET http").await;
    while origin.accepted() < 2 {
        tokio::task::yield_now().await;
    }
    let traffic = timeout(LONG, proxy.egress.stop()).await.unwrap();
    assert_eq!(traffic, proxy.egress.traffic());
    for client in [&mut tunnel, &mut waiting, &mut resting] {
        assert_eq!(client.rest().await, "");
    }
    for _ in 0..2 {
        timeout(LONG, ended.notified()).await.unwrap();
    }
    assert!(tokio::net::TcpStream::connect(proxy.address).await.is_err());
}

#[tokio::test]
async fn dropping_it_is_stopping_it() {
    let (mirror, proxy) = (Server::mirror().await, proxy(open()).await);
    let mut client = proxy.client().await;
    client.connect(mirror.address).await;
    drop(proxy);
    assert_eq!(client.rest().await, "");
}

/// Slow ones do not hold up the others.
#[tokio::test]
async fn receivers_that_take_nothing_do_not_stop_the_others() {
    let flood =
        Server::start(|mut stream| async move { while stream.write_all(&[0; 65_536]).await.is_ok() {} })
            .await;
    let mirror = Server::mirror().await;
    let options = Options {
        tunnel_bytes: 64 * 1024,
        ..Options::default()
    };
    let proxy = proxy_with(open(), options).await;
    let mut stuck = Vec::new();
    for _ in 0..50 {
        let mut client = proxy.client().await;
        client.connect(flood.address).await;
        stuck.push(client);
    }
    let mut client = proxy.client().await;
    client.connect(mirror.address).await;
    let bytes = vec![7; 1_000_000];
    let (mut read, mut write) = client.0.split();
    let mut back = vec![0; bytes.len()];
    let both = async { tokio::join!(write.write_all(&bytes), read.read_exact(&mut back)) };
    let (sent, got) = timeout(LONG, both).await.unwrap();
    sent.unwrap();
    got.unwrap();
    assert!(back == bytes);
}
