//! A worker's start, reports and stop, against a control plane that is played by the test.

mod drains;
mod partitions;
mod simulated;
mod spools;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use wharf_domain::{EndReason, Incarnation, ManualClock, Millis, SeededEntropy, Timestamp, WorkerId};
use wharf_protocol::{
    HEARTBEAT_PATH, Heartbeat, HeartbeatReply, LaunchRequest, ObservedStatus, Order, REGISTER_PATH,
    SessionOrder, SigningKey,
};

use super::*;
use crate::agent::testing::{request, soon};
use crate::browser::testing::FakeBrowsers;

/// Answers registrations and heartbeats as it is told, and passes both on to the test.
struct StubControl {
    base: Url,
    registrations: mpsc::UnboundedReceiver<(Option<String>, RegisterRequest)>,
    heartbeats: mpsc::UnboundedReceiver<Heartbeat>,
    answer: watch::Sender<Answer>,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Answer {
    register: StatusCode,
    heartbeat: StatusCode,
    orders: Vec<SessionOrder>,
}

#[derive(Clone)]
struct Ears {
    registrations: mpsc::UnboundedSender<(Option<String>, RegisterRequest)>,
    heartbeats: mpsc::UnboundedSender<Heartbeat>,
    answer: watch::Receiver<Answer>,
}

impl StubControl {
    async fn start(register: StatusCode) -> Self {
        let (registrations_sender, registrations) = mpsc::unbounded_channel();
        let (heartbeats_sender, heartbeats) = mpsc::unbounded_channel();
        let answer = watch::Sender::new(Answer {
            register,
            heartbeat: StatusCode::OK,
            orders: Vec::new(),
        });
        let ears = Ears {
            registrations: registrations_sender,
            heartbeats: heartbeats_sender,
            answer: answer.subscribe(),
        };
        let router = Router::new()
            .route(REGISTER_PATH, post(hear_registration))
            .route(HEARTBEAT_PATH, post(hear_heartbeat))
            .with_state(ears);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            base,
            registrations,
            heartbeats,
            answer,
            _server: server,
        }
    }

    fn answer(&self, change: impl FnOnce(&mut Answer)) {
        self.answer.send_modify(change);
    }

    async fn heartbeat(&mut self) -> Heartbeat {
        soon(self.heartbeats.recv()).await.unwrap()
    }

    /// The next heartbeat that reports this end.
    async fn end(&mut self) -> EndReason {
        loop {
            for session in self.heartbeat().await.sessions {
                if let ObservedStatus::Ended(reason) = session.status {
                    return reason;
                }
            }
        }
    }
}

async fn hear_registration(
    State(ears): State<Ears>,
    headers: HeaderMap,
    Json(request): Json<RegisterRequest>,
) -> (StatusCode, Json<Value>) {
    let credential = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    ears.registrations.send((credential, request)).unwrap();
    let worker = WorkerId::mint(&clock(), &SeededEntropy::new(1));
    let reply = RegisterReply {
        worker,
        incarnation: Incarnation(7),
        heartbeat_every: Millis(20),
    };
    (ears.answer.borrow().register, Json(json!(reply)))
}

async fn hear_heartbeat(
    State(ears): State<Ears>,
    Json(heartbeat): Json<Heartbeat>,
) -> (StatusCode, Json<HeartbeatReply>) {
    ears.heartbeats.send(heartbeat).unwrap();
    let answer = ears.answer.borrow().clone();
    (
        answer.heartbeat,
        Json(HeartbeatReply {
            drain: false,
            orders: answer.orders,
        }),
    )
}

fn clock() -> ManualClock {
    ManualClock::starting_at(Timestamp::UNIX_EPOCH)
}

async fn start(control: &Url) -> Result<(Worker, FakeBrowsers), WorkerError> {
    start_warm(control, 0).await
}

async fn start_warm(control: &Url, warm: u32) -> Result<(Worker, FakeBrowsers), WorkerError> {
    let browsers = FakeBrowsers::new();
    let options = WorkerOptions {
        warm: WarmOptions::of(warm),
        ..options(control, &browsers)
    };
    let worker = soon(Worker::start_with(options)).await?;
    Ok((worker, browsers))
}

fn options(control: &Url, browsers: &FakeBrowsers) -> WorkerOptions<FakeBrowsers> {
    WorkerOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
        regions: vec![Region::EuCentral1],
        slots: 2,
        warm: WarmOptions::of(0),
        control: control.clone(),
        credential: WorkerCredential::mint(&SeededEntropy::new(2)),
        verifying_key: SigningKey::generate().verifying_key().clone(),
        rules: SessionRules::default(),
        spool: None,
        browsers: browsers.clone(),
        clock: Arc::new(clock()),
        entropy: Arc::new(SeededEntropy::new(3)),
    }
}

fn order(request: &LaunchRequest, order: Order) -> SessionOrder {
    SessionOrder {
        session: request.session,
        generation: request.generation,
        order,
    }
}

#[tokio::test]
async fn a_worker_tells_who_it_is_and_waits_for_a_control_plane_that_is_not_ready() {
    let mut control = StubControl::start(StatusCode::SERVICE_UNAVAILABLE).await;
    let base = control.base.clone();
    let (started, ()) = tokio::join!(start(&base), async {
        control.registrations.recv().await.unwrap();
        control.answer(|answer| answer.register = StatusCode::OK);
    });
    let (worker, _) = started.unwrap();
    let (credential, registration) = control.registrations.recv().await.unwrap();
    let expected = format!(
        "Bearer {}",
        WorkerCredential::mint(&SeededEntropy::new(2)).expose()
    );
    assert_eq!(credential, Some(expected));
    let address = worker.address().to_string();
    assert_eq!(
        registration,
        RegisterRequest {
            address,
            regions: vec![Region::EuCentral1],
            slots: 2,
            process: registration.process,
            unreported: Vec::new(),
        }
    );
    soon(worker.shutdown()).await;
}

#[tokio::test]
async fn an_unknown_credential_is_not_tried_again() {
    let mut control = StubControl::start(StatusCode::UNAUTHORIZED).await;
    let Err(error) = start(&control.base).await else {
        panic!("it has started")
    };
    assert!(error.to_string().contains("enroll"), "{error}");
    control.registrations.recv().await.unwrap();
    assert!(control.registrations.try_recv().is_err());
}

#[tokio::test]
async fn orders_are_obeyed_and_an_end_is_reported_until_it_is_stored() {
    let mut control = StubControl::start(StatusCode::OK).await;
    let (worker, browsers) = start(&control.base).await.unwrap();
    worker.agent.launch(request(1)).await.unwrap();
    control.answer(|answer| {
        answer.orders = vec![order(&request(1), Order::Kill), order(&request(2), Order::Kill)];
    });
    assert_eq!(control.end().await, EndReason::Killed);
    assert_eq!(browsers.alive(), 0);

    control.answer(|answer| answer.orders = Vec::new());
    for _ in 0..2 {
        assert_eq!(control.end().await, EndReason::Killed);
    }
    control.answer(|answer| answer.orders = vec![order(&request(1), Order::Forget)]);
    while !control.heartbeat().await.sessions.is_empty() {}
    soon(worker.shutdown()).await;
}

#[tokio::test]
async fn an_outage_of_the_control_plane_ends_nothing() {
    let mut control = StubControl::start(StatusCode::OK).await;
    let (worker, browsers) = start(&control.base).await.unwrap();
    worker.agent.launch(request(1)).await.unwrap();
    control.answer(|answer| answer.heartbeat = StatusCode::INTERNAL_SERVER_ERROR);
    for _ in 0..3 {
        control.heartbeat().await;
    }
    control.answer(|answer| answer.heartbeat = StatusCode::OK);
    let heartbeat = control.heartbeat().await;
    assert_eq!(heartbeat.incarnation, Incarnation(7));
    assert_eq!(heartbeat.sessions[0].status, ObservedStatus::Running);
    assert_eq!(browsers.alive(), 1);
    soon(worker.shutdown()).await;
}

#[tokio::test]
async fn a_replaced_worker_learns_it_and_reports_no_more() {
    let mut control = StubControl::start(StatusCode::OK).await;
    let (worker, browsers) = start(&control.base).await.unwrap();
    worker.agent.launch(request(1)).await.unwrap();
    control.answer(|answer| answer.heartbeat = StatusCode::CONFLICT);
    soon(worker.replaced()).await;
    while control.heartbeats.try_recv().is_ok() {}
    soon(worker.shutdown()).await;
    assert!(control.heartbeats.try_recv().is_err());
    assert_eq!(browsers.alive(), 0);
}

#[tokio::test]
async fn a_worker_that_stops_kills_its_sessions_and_reports_them() {
    let mut control = StubControl::start(StatusCode::OK).await;
    let (worker, browsers) = start(&control.base).await.unwrap();
    worker.agent.launch(request(1)).await.unwrap();
    soon(worker.shutdown()).await;
    assert_eq!(browsers.alive(), 0);
    assert_eq!(control.end().await, EndReason::Killed);
}

#[tokio::test]
async fn a_dropped_worker_leaves_no_browser() {
    let control = StubControl::start(StatusCode::OK).await;
    let (worker, browsers) = start(&control.base).await.unwrap();
    worker.agent.launch(request(1)).await.unwrap();
    let agent = Arc::clone(&worker.agent);
    drop(worker);
    soon(agent.ended.notified()).await;
    assert_eq!(browsers.alive(), 0);
}

/// Real time, and the real machine's pressure: a quarter of a second at rest, ten seconds at most.
async fn warm(browsers: &FakeBrowsers, count: u32) {
    let warm = browsers.wait_for_alive(count);
    tokio::time::timeout(Duration::from_secs(20), warm).await.unwrap();
}

#[tokio::test]
async fn a_stop_takes_the_browsers_away_that_wait() {
    let control = StubControl::start(StatusCode::OK).await;
    let (worker, browsers) = start_warm(&control.base, 1).await.unwrap();
    warm(&browsers, 1).await;
    worker.shutdown().await;
    assert_eq!(browsers.alive(), 0);
}

#[tokio::test]
async fn a_worker_that_is_dropped_takes_them_away_as_well() {
    let control = StubControl::start(StatusCode::OK).await;
    let (worker, browsers) = start_warm(&control.base, 1).await.unwrap();
    warm(&browsers, 1).await;
    drop(worker);
    soon(browsers.wait_for_alive(0)).await;
}
