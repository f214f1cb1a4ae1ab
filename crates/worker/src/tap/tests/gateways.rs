//! Clients that come by way of a gateway, which may die.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get as route;
use wharf_protocol::ObservedStatus;
use wharf_tunnel::Traffic;

use super::rules::{all_that_comes, exactly, kept_alive};
use super::*;
use crate::tap::frames::{client_frame, close, text};

/// A gateway without its checks: it hands everything to one worker.
struct TestGateway {
    address: SocketAddr,
    stop: CancellationToken,
    /// The server, and a task for each tunnel. Aborted, they leave what the kernel leaves of a killed process.
    tasks: Arc<std::sync::Mutex<JoinSet<()>>>,
}

#[derive(Clone)]
struct Way {
    worker: SocketAddr,
    stop: CancellationToken,
    tasks: Arc<std::sync::Mutex<JoinSet<()>>>,
}

impl TestGateway {
    async fn before(served: &Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (
            CancellationToken::new(),
            Arc::<std::sync::Mutex<JoinSet<()>>>::default(),
        );
        let way = Way {
            worker: served.address,
            stop: stop.clone(),
            tasks: Arc::clone(&tasks),
        };
        let router = Router::new().route("/connect", route(pass_on)).with_state(way);
        let serving = serve(listener, router, CancellationToken::new(), Duration::ZERO);
        tasks.lock().unwrap().spawn(serving);
        Self { address, stop, tasks }
    }

    fn kill(&self) {
        self.tasks.lock().unwrap().abort_all();
    }

    async fn connect(&self, served: &mut Served, request: &LaunchRequest) -> (TcpStream, Arrived) {
        let (reply, client) = soon(get(self.address, &served.target(request), HANDSHAKE)).await;
        assert_eq!(reply.status, 101, "{reply:?}");
        assert!(!reply.head.contains("hop"), "{reply:?}");
        (client, soon(served.browser.next()).await)
    }
}

async fn pass_on(State(way): State<Way>, mut request: Request<Body>) -> Response<Body> {
    let target = request.uri().to_string();
    let Ok(mut client) = ClientHandshake::from_request(&mut request) else {
        panic!("no handshake")
    };
    wharf_tunnel::name_hop(&mut client.headers);
    let answer = wharf_tunnel::dial(&way.worker.to_string(), &target, client.headers).await;
    let Ok(Answer::Upgraded(upstream)) = answer else {
        panic!("no upgrade")
    };
    assert!(upstream.is_hop());
    let response = upstream.switching_protocols();
    way.tasks.lock().unwrap().spawn(async move {
        wharf_tunnel::relay(
            client.upgrade,
            upstream,
            &Traffic::default(),
            way.stop.cancelled_owned(),
        )
        .await;
    });
    response
}

const COMMAND: &[u8] = br#"{"id":1,"method":"Browser.getVersion"}"#;

async fn one_round_trip(client: &mut TcpStream, far: &mut Arrived) {
    let command = client_frame(0x81, COMMAND);
    client.write_all(&command).await.unwrap();
    exactly(&mut far.stream, &command).await;
    far.stream.write_all(&text("answer")).await.unwrap();
    exactly(client, &text("answer")).await;
}

#[tokio::test]
async fn a_killed_gateway_ends_no_session_and_its_client_comes_back_by_another() {
    let mut served = Served::launched().await;
    let first = TestGateway::before(&served).await;
    let (mut client, mut far) = first.connect(&mut served, &request(1)).await;
    one_round_trip(&mut client, &mut far).await;
    first.kill();
    // Both ends see that the way is gone; the session waits.
    assert_eq!(soon(client.read(&mut [0; 8])).await.unwrap_or(0), 0);
    assert_eq!(all_that_comes(&mut far.stream).await, b"");
    served.staged.session(&request(1)).wait_for_clients(0).await;
    assert_eq!(
        served.staged.observed(&request(1)).status,
        ObservedStatus::Running
    );

    let second = TestGateway::before(&served).await;
    let (mut client, mut far) = second.connect(&mut served, &request(1)).await;
    one_round_trip(&mut client, &mut far).await;
    drop(client);
    assert_ended_at_once(&served).await;
}

/// Long before the grace is over.
async fn assert_ended_at_once(served: &Served) {
    let asked = std::time::Instant::now();
    assert_eq!(
        soon(served.staged.end_of(&request(1))).await,
        EndReason::Disconnected
    );
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_lost_client_that_does_not_come_back_has_left_after_the_grace() {
    let rules = SessionRules {
        reconnect_grace: Duration::from_millis(100),
        ..SessionRules::default()
    };
    let mut served = Served::with(FarEnd::answering(SWITCHING).await, rules).await;
    served.staged.agent.launch(request(1)).await.unwrap();
    let gateway = TestGateway::before(&served).await;
    let _tunnel = gateway.connect(&mut served, &request(1)).await;
    gateway.kill();
    assert_ended_at_once(&served).await;
}

#[tokio::test]
async fn a_client_that_is_killed_behind_a_gateway_ends_its_session_at_once() {
    // With a reset; in the middle of a frame; while its browser has more to say than it reads.
    for (linger, written, answered) in [(true, 0, 0), (false, 5, 0), (true, 9, 4 << 20)] {
        let mut served = Served::launched().await;
        let gateway = TestGateway::before(&served).await;
        let (mut client, mut far) = gateway.connect(&mut served, &request(1)).await;
        client
            .write_all(&client_frame(0x81, COMMAND)[..written])
            .await
            .unwrap();
        let answer = text(&"x".repeat(answered));
        let answering = async {
            let _ = far.stream.write_all(&answer).await;
        };
        let killing = async {
            if answered > 0 {
                client.readable().await.unwrap();
            }
            if linger {
                client.set_zero_linger().unwrap();
            }
            drop(client);
            assert_ended_at_once(&served).await;
        };
        soon(async { tokio::join!(answering, killing) }).await;
    }
}

#[tokio::test]
async fn a_gateway_that_stops_closes_with_1012_and_the_session_goes_on() {
    let mut served = Served::launched().await;
    let gateway = TestGateway::before(&served).await;
    let (mut client, mut far) = gateway.connect(&mut served, &request(1)).await;
    one_round_trip(&mut client, &mut far).await;
    gateway.stop.cancel();
    assert_eq!(
        all_that_comes(&mut client).await,
        close(1012, "service restart: connect again, the session goes on")
    );
    assert_eq!(all_that_comes(&mut far.stream).await, b"");
    served.staged.session(&request(1)).wait_for_clients(0).await;
    let (client, _far) = served.connect(&request(1)).await;
    drop(client);
    assert_ended_at_once(&served).await;
}

#[tokio::test]
async fn browser_close_is_held_back_behind_a_gateway_too() {
    let mut served = Served::start().await;
    served.staged.agent.launch(kept_alive()).await.unwrap();
    let gateway = TestGateway::before(&served).await;
    let (mut client, mut far) = gateway.connect(&mut served, &kept_alive()).await;
    one_round_trip(&mut client, &mut far).await;
    let command = client_frame(0x81, br#"{"id":9,"method":"Browser.close"}"#);
    client.write_all(&command).await.unwrap();
    let words = all_that_comes(&mut client).await;
    assert!(words.starts_with(&text(r#"{"id":9,"result":{}}"#)), "{words:?}");
    assert_eq!(all_that_comes(&mut far.stream).await, b"");
    assert_eq!(
        served.staged.observed(&kept_alive()).status,
        ObservedStatus::Running
    );
}

#[tokio::test]
async fn a_gateway_that_knows_nothing_of_chunks_is_a_client() {
    let mut served = Served::launched().await;
    let (mut client, mut far) = served.connect(&request(1)).await;
    one_round_trip(&mut client, &mut far).await;
    drop(client);
    assert_ended_at_once(&served).await;
}
