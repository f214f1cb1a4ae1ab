//! Serves a router on a TCP listener. Its connections have an owner, and a caller that never finishes the head of its
//! request is dropped. HTTP/1.1 only: a WebSocket upgrade knows no other.

mod connection;

use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use connection::{Answer, Connection};

/// For a request's head, which every client sends at once. Also how long a kept-alive connection may rest.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The longest head. A token takes half a kilobyte of it.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// Out of file descriptors: the next accept would fail as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until stopped, then finishes the answers that are under way, for `drain` at most. Upgraded connections are not
/// its own any more.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, drain: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_one(stream, router.clone(), stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be taken: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let drained = timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        connections.shutdown().await;
    }
}

async fn serve_one(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    let known = Connection::new();
    let (router, told) = (TowerToHyperService::new(router), known.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        told.request_came();
        request.extensions_mut().insert(told.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => {
            known.broke();
            ended
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let ended = connection.await;
            known.stopped();
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    use super::*;

    /// A server with one route, which answers once it is told to.
    struct Served {
        client: TcpStream,
        asked: Arc<Notify>,
        answer: Arc<Notify>,
        stop: CancellationToken,
        server: JoinSet<()>,
    }

    async fn served() -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (asked, answer, stop) = (
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
            CancellationToken::new(),
        );
        let (noticed, awaited) = (Arc::clone(&asked), Arc::clone(&answer));
        let handler = move || async move {
            noticed.notify_one();
            awaited.notified().await;
            "answer"
        };
        let mut server = JoinSet::new();
        let drain = Duration::from_secs(5);
        server.spawn(serve(
            listener,
            Router::new().route("/", get(handler)),
            stop.clone(),
            drain,
        ));
        Served {
            client,
            asked,
            answer,
            stop,
            server,
        }
    }

    async fn all_that_comes(client: &mut TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_dropped() {
        let mut served = served().await;
        served
            .client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n")
            .await
            .unwrap();
        let started = tokio::time::Instant::now();
        all_that_comes(&mut served.client).await;
        assert!(started.elapsed() >= HEAD_TIMEOUT && started.elapsed() < 2 * HEAD_TIMEOUT);
    }

    #[tokio::test]
    async fn a_handler_learns_that_its_client_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (answers, mut answer) = tokio::sync::mpsc::unbounded_channel();
        let handler = move |Extension(connection): Extension<Connection>| async move {
            answers.send(connection.answer()).unwrap();
            "answer"
        };
        let mut server = JoinSet::new();
        let router = Router::new().route("/", get(handler));
        server.spawn(serve(listener, router, CancellationToken::new(), Duration::ZERO));
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let answer = answer.recv().await.unwrap();
        client.read_u8().await.unwrap();
        drop(client);
        assert!(answer.breaks(Duration::from_secs(10)).await);
    }

    #[tokio::test]
    async fn an_answer_under_way_is_finished() {
        let mut served = served().await;
        served
            .client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        served.asked.notified().await;
        served.stop.cancel();
        served.answer.notify_one();
        assert!(all_that_comes(&mut served.client).await.ends_with("answer"));
        assert!(served.server.join_next().await.is_some_and(|ended| ended.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_takes_too_long_is_given_up() {
        let mut served = served().await;
        served
            .client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        served.asked.notified().await;
        served.stop.cancel();
        assert!(served.server.join_next().await.is_some_and(|ended| ended.is_ok()));
    }

    /// As a client's pool has them in store.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_has_used_yet_does_not_put_off_the_end() {
        let mut served = served().await;
        // The second is answered, so the first was taken before it.
        let mut second = TcpStream::connect(served.client.peer_addr().unwrap())
            .await
            .unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        second.write_all(request).await.unwrap();
        served.asked.notified().await;
        served.answer.notify_one();
        second.read_u8().await.unwrap();
        let started = tokio::time::Instant::now();
        served.stop.cancel();
        assert!(served.server.join_next().await.is_some_and(|ended| ended.is_ok()));
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "{:?}",
            started.elapsed()
        );
    }
}
