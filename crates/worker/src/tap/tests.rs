//! Clients of fake browsers, over real sockets. The client's half comes through the worker's own listener.

mod gateways;
mod rules;

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharf_domain::{Clock, EndReason, Generation, SeededEntropy, WorkerId};
use wharf_protocol::{CallVerifier, LaunchRequest, SigningKey};

use super::*;
use crate::agent::testing::{Staged, request, soon};
use crate::browser::testing::FakeBrowsers;
use crate::http::{Calls, router};
use crate::rules::SessionRules;
use wharf_listener::serve;
use wharf_tunnel::testing::{Arrived, FarEnd, HANDSHAKE, Reply, SWITCHING, get, send};

/// An agent with a listener, and a browser for all its sessions.
struct Served {
    staged: Staged,
    browser: FarEnd,
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl Served {
    async fn start() -> Self {
        Self::with_browser(FarEnd::answering(SWITCHING).await).await
    }

    async fn with_browser(browser: FarEnd) -> Self {
        Self::with(browser, SessionRules::default()).await
    }

    async fn with(browser: FarEnd, rules: SessionRules) -> Self {
        let staged = Staged::with_rules(FakeBrowsers::at(browser.address), 8, rules);
        let verifier = CallVerifier::new(SigningKey::generate().verifying_key());
        let worker = WorkerId::mint(&*staged.clock as &dyn Clock, &SeededEntropy::new(1));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Calls {
            agent: Arc::clone(&staged.agent),
            verifier,
            worker,
        };
        let mut server = JoinSet::new();
        let drain = std::time::Duration::ZERO;
        server.spawn(serve(listener, router(calls), CancellationToken::new(), drain));
        Self {
            staged,
            browser,
            address,
            _server: server,
        }
    }

    async fn launched() -> Self {
        let served = Self::start().await;
        served.staged.agent.launch(request(1)).await.unwrap();
        served
    }

    fn target(&self, request: &LaunchRequest) -> String {
        format!("/connect?signingKey={}", self.staged.token(request).expose())
    }

    async fn knock(&self, request: &LaunchRequest) -> Reply {
        soon(get(self.address, &self.target(request), HANDSHAKE)).await.0
    }

    async fn connect(&mut self, request: &LaunchRequest) -> (TcpStream, Arrived) {
        let (reply, client) = soon(get(self.address, &self.target(request), HANDSHAKE)).await;
        assert_eq!(reply.status, 101, "{reply:?}");
        (client, soon(self.browser.next()).await)
    }
}

#[tokio::test]
async fn every_refusal_comes_before_the_upgrade_and_says_why() {
    let mut served = Served::launched().await;
    let (reply, _) = get(served.address, "/connect", HANDSHAKE).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    let (reply, _) = get(served.address, "/connect?signingKey=a.b.c", HANDSHAKE).await;
    assert_eq!(reply.status, 401, "{reply:?}");
    let (reply, _) = get(served.address, &served.target(&request(1)), "").await;
    assert_eq!(reply.status, 426, "{reply:?}");

    let reply = served.knock(&request(2)).await;
    assert_eq!(reply.status, 404);
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        (body["statusCode"].as_u64(), body["error"].as_str()),
        (Some(404), Some("Not Found"))
    );

    let later = LaunchRequest {
        generation: Generation(2),
        ..request(1)
    };
    assert_eq!(served.knock(&later).await.status, 404);
    served.staged.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(served.knock(&request(1)).await.status, 410);
    assert!(served.browser.is_untouched());
    assert!(
        served.staged.session(&request(1)).join().is_some(),
        "the refused ones have ended nothing"
    );
}

#[tokio::test]
async fn a_session_lets_nobody_in_before_it_runs_or_after_it_has_ended_or_is_forgotten() {
    let served = Served::start().await;
    served.staged.browsers.hold_launches(true);
    let (_, starting) = tokio::join!(served.staged.agent.launch(request(1)), async {
        let starting = served.knock(&request(1)).await;
        served.staged.browsers.hold_launches(false);
        starting
    });
    assert_eq!(starting.status, 503);
    assert!(starting.head.contains("retry-after: 1"), "{starting:?}");

    served.staged.release(&request(1));
    soon(served.staged.end_of(&request(1))).await;
    assert_eq!(served.knock(&request(1)).await.status, 410);
    served.staged.forget(&request(1));
    assert_eq!(served.knock(&request(1)).await.status, 410);
}

#[tokio::test]
async fn an_earlier_launchs_token_does_not_open_a_later_one() {
    let mut served = Served::launched().await;
    let later = LaunchRequest {
        generation: Generation(2),
        ..request(1)
    };
    served.staged.agent.launch(later.clone()).await.unwrap();
    soon(served.staged.end_of(&request(1))).await;
    served.staged.forget(&request(1));
    assert_eq!(served.knock(&request(1)).await.status, 410);
    assert!(served.browser.is_untouched());
    assert_eq!(served.knock(&later).await.status, 101);
}

#[tokio::test]
async fn the_browser_is_asked_afresh_at_its_secret_path() {
    let mut served = Served::launched().await;
    let headers = format!(
        "{HANDSHAKE}origin: https://evil.example\r\nsec-websocket-extensions: permessage-deflate\r\n"
    );
    let (reply, _client) = get(served.address, &served.target(&request(1)), &headers).await;
    assert_eq!(reply.status, 101, "{reply:?}");
    let head = soon(served.browser.next()).await.head;
    let host = served.browser.address;
    assert!(
        head.starts_with(&format!(
            "GET /devtools/browser/secret HTTP/1.1\r\nhost: {host}\r\n"
        )),
        "{head}"
    );
    assert!(!head.contains("origin") && !head.contains("extensions"), "{head}");
}

#[tokio::test]
async fn a_browser_that_refuses_is_a_bad_gateway_and_its_client_does_not_count() {
    let browser = FarEnd::answering("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n").await;
    let served = Served::with_browser(browser).await;
    served.staged.agent.launch(request(1)).await.unwrap();
    let reply = served.knock(&request(1)).await;
    assert_eq!(reply.status, 502);
    assert!(!reply.body.contains("secret"), "{reply:?}");
    // Had it counted, its leaving would have ended the session.
    drop(
        served
            .staged
            .session(&request(1))
            .join()
            .expect("the session goes on"),
    );
    assert_eq!(
        soon(served.staged.end_of(&request(1))).await,
        EndReason::Disconnected
    );
}

#[tokio::test]
async fn garbage_is_the_browsers_business() {
    let mut served = Served::launched().await;
    let (mut client, mut far) = served.connect(&request(1)).await;
    let mut garbage = vec![0; 100_000];
    wharf_domain::Entropy::fill(&SeededEntropy::new(9), &mut garbage);
    client.write_all(&garbage).await.unwrap();
    let mut received = vec![0; garbage.len()];
    soon(far.stream.read_exact(&mut received)).await.unwrap();
    assert!(received == garbage);
    drop(far);
    assert_eq!(soon(client.read(&mut [0; 8])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn tunnels_end_with_their_session() {
    let mut served = Served::launched().await;
    let (mut first, _far) = served.connect(&request(1)).await;
    let (mut second, _far) = served.connect(&request(1)).await;
    served.staged.release(&request(1));
    assert_eq!(soon(first.read(&mut [0; 8])).await.unwrap_or(0), 0);
    assert_eq!(soon(second.read(&mut [0; 8])).await.unwrap_or(0), 0);
    assert_eq!(soon(served.staged.end_of(&request(1))).await, EndReason::Released);
}

#[tokio::test]
async fn the_last_of_fifty_clients_ends_the_session_and_no_other() {
    let mut served = Served::launched().await;
    let mut clients = Vec::new();
    let target = served.target(&request(1));
    for (reply, client) in
        futures_util::future::join_all((0..50).map(|_| get(served.address, &target, HANDSHAKE))).await
    {
        assert_eq!(reply.status, 101, "{reply:?}");
        clients.push(client);
    }
    let mut far = Vec::new();
    for _ in 0..50 {
        far.push(soon(served.browser.next()).await);
    }
    let last = clients.pop().unwrap();
    for (number, client) in clients.into_iter().enumerate() {
        // Every other one is killed.
        if number % 2 == 0 {
            client.set_zero_linger().unwrap();
        }
    }
    let session = served.staged.session(&request(1));
    session.wait_for_clients(1).await;
    assert_eq!(
        served.staged.observed(&request(1)).status,
        wharf_protocol::ObservedStatus::Running
    );
    drop(last);
    assert_eq!(
        soon(served.staged.end_of(&request(1))).await,
        EndReason::Disconnected
    );
}

#[tokio::test]
async fn a_client_that_stops_speaking_but_stays_is_let_go() {
    let mut served = Served::launched().await;
    let (client, mut far) = served.connect(&request(1)).await;
    let (_silent, mut write) = client.into_split();
    write.shutdown().await.unwrap();
    assert_eq!(soon(far.stream.read(&mut [0; 8])).await.unwrap(), 0);
    // Neither the client nor the browser closes its direction.
    assert_eq!(
        soon(served.staged.end_of(&request(1))).await,
        EndReason::Disconnected
    );
}

#[tokio::test]
async fn a_client_that_leaves_before_its_101_still_counts_as_one_that_left() {
    let served = Served::launched().await;
    let request_head = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\n{HANDSHAKE}\r\n",
        served.target(&request(1))
    );
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(request_head.as_bytes()).await.unwrap();
    let mut browser = served.browser;
    let _far = soon(browser.next()).await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(
        soon(served.staged.end_of(&request(1))).await,
        EndReason::Disconnected
    );
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = Served::start().await;
    let endless = "x".repeat(1024 * 1024);
    let (reply, _) = send(
        served.address,
        &format!("GET /connect HTTP/1.1\r\ncookie: {endless}"),
    )
    .await;
    assert_eq!(reply.status, 431, "{reply:?}");
}
