//! A whole session on a real Chromium: launched by a signed call, driven through the tap, ended by its client's
//! leaving, reported to a control plane that the test plays, and gone without a trace.
#![expect(clippy::unwrap_used, reason = "the lint knows tests, but not their helpers")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Json, Router, routing::post};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::{connect_async, tungstenite::Message};
use url::Url;
use wharf_chrome::{Isolation, Launcher, LauncherOptions, Limits, ProfileRoot, find_browser};
use wharf_domain::{
    Clock, EndReason, Generation, Incarnation, Millis, ProjectId, Region, SeededEntropy, SessionId,
    SystemClock, WorkerCredential, WorkerId,
};
use wharf_egress::AddressPolicy;
use wharf_protocol::{
    BrowserOptions, CALL_SIGNATURE_HEADER, CallSigner, ConnectClaims, ConnectSigner, ConnectToken,
    HEARTBEAT_PATH, Heartbeat, HeartbeatReply, LAUNCH_PATH, LaunchReply, LaunchRequest, ObservedSession,
    ObservedStatus, REGISTER_PATH, RegisterReply, Scope, SigningKey,
};
use wharf_worker::{BuiltInProxy, Chromiums, SessionRules, WarmOptions, Worker, WorkerOptions};

fn worker_id() -> WorkerId {
    WorkerId::mint(&SystemClock, &SeededEntropy::new(1))
}

/// A control plane that registers everybody as this worker and passes heartbeats on.
async fn control(worker: WorkerId) -> (Url, mpsc::UnboundedReceiver<Heartbeat>, JoinSet<()>) {
    let (heartbeats, heard) = mpsc::unbounded_channel();
    let register = move || async move {
        Json(RegisterReply {
            worker,
            incarnation: Incarnation(1),
            heartbeat_every: Millis(60_000),
        })
    };
    let router = Router::new()
        .route(REGISTER_PATH, post(register))
        .route(
            HEARTBEAT_PATH,
            post(
                async |State(heartbeats): State<mpsc::UnboundedSender<_>>, Json(heartbeat)| {
                    heartbeats.send(heartbeat).unwrap();
                    Json(HeartbeatReply::default())
                },
            ),
        )
        .with_state(heartbeats);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, heard, server)
}

fn launcher(profiles: &Path) -> Launcher {
    // The browser runs as another user when the test runs as root.
    fs::set_permissions(profiles, fs::Permissions::from_mode(0o755)).unwrap();
    Launcher::new(LauncherOptions {
        binary: find_browser(None).unwrap(),
        isolation: Isolation::Process,
        profiles: ProfileRoot::at(profiles).unwrap(),
        user: "nobody".to_owned(),
        limits: Limits::default(),
    })
    .unwrap()
}

/// Tests run side by side and look for processes by their session's id: each has a seed of its own.
fn launch_request(seed: u64) -> LaunchRequest {
    let entropy = SeededEntropy::new(seed);
    LaunchRequest {
        session: SessionId::mint(&SystemClock, &entropy),
        project: ProjectId::mint(&SystemClock, &entropy),
        generation: Generation::FIRST,
        timeout: Millis(60_000),
        connect_within: Some(Millis(60_000)),
        idle_timeout: None,
        keep_alive: false,
        launch_within: Millis(30_000),
        browser: BrowserOptions::default(),
    }
}

async fn launch(worker: &Worker, id: WorkerId, key: &SigningKey, request: &LaunchRequest) -> LaunchReply {
    let body = serde_json::to_vec(request).unwrap();
    let signature = CallSigner::new(key).sign(id, LAUNCH_PATH, &body, &SystemClock);
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(40))
        .build()
        .unwrap();
    let response = client
        .post(format!("http://{}{LAUNCH_PATH}", worker.address()))
        .header(CALL_SIGNATURE_HEADER, signature)
        .body(body)
        .send()
        .await
        .unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

fn token(key: &SigningKey, worker: &Worker, request: &LaunchRequest) -> ConnectToken {
    ConnectSigner::new(key).sign(&ConnectClaims {
        session: request.session,
        project: request.project,
        generation: request.generation,
        worker: worker.address().to_string(),
        scope: Scope::Connect,
        expires_at: SystemClock.now().timestamp() + 60,
    })
}

/// What the browser calls itself over CDP.
async fn product(worker: &Worker, token: &ConnectToken) -> String {
    let mut socket = connect(worker, token).await;
    let answer = command(&mut socket, "Browser.getVersion").await;
    socket.close(None).await.unwrap();
    answer["result"]["product"].as_str().unwrap().to_owned()
}

async fn ended(heartbeats: &mut mpsc::UnboundedReceiver<Heartbeat>) -> ObservedSession {
    loop {
        let heartbeat = heartbeats.recv().await.unwrap();
        let mut sessions = heartbeat.sessions.into_iter();
        if let Some(ended) = sessions.find(|session| matches!(session.status, ObservedStatus::Ended(_))) {
            return ended;
        }
    }
}

/// Command lines of processes that name this.
fn processes_naming(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    commands
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(text))
        .collect()
}

fn folders_naming(text: &str, below: &Path) -> Vec<String> {
    let entries = fs::read_dir(below)
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir());
    entries
        .flat_map(|entry| {
            let name = entry.path().display().to_string();
            let mut found = folders_naming(text, &entry.path());
            found.extend(name.contains(text).then_some(name));
            found
        })
        .collect()
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(worker: &Worker, token: &ConnectToken) -> Socket {
    let url = format!("ws://{}/connect?signingKey={}", worker.address(), token.expose());
    connect_async(url).await.unwrap().0
}

/// The answer to a command without parameters.
async fn command(socket: &mut Socket, method: &str) -> serde_json::Value {
    let command = serde_json::json!({ "id": 1, "method": method });
    socket.send(Message::text(command.to_string())).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap().into_text().unwrap();
    serde_json::from_str(&answer).unwrap()
}

async fn start(key: &SigningKey, profiles: &Path, control: Url) -> Worker {
    Worker::start(WorkerOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
        regions: vec![Region::default()],
        slots: 1,
        warm: WarmOptions::of(0),
        control,
        credential: WorkerCredential::mint(&SeededEntropy::new(3)),
        verifying_key: key.verifying_key().clone(),
        rules: SessionRules::default(),
        spool: None,
        browsers: Chromiums::new(
            Arc::new(launcher(profiles)),
            AddressPolicy::default(),
            BuiltInProxy::None,
        ),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SeededEntropy::new(4)),
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_lives_on_a_real_chromium_and_leaves_nothing() {
    let (key, profiles, id) = (SigningKey::generate(), tempfile::tempdir().unwrap(), worker_id());
    let (control, mut heartbeats, _server) = control(id).await;
    let worker = start(&key, profiles.path(), control).await;

    let request = launch_request(20);
    let reply = launch(&worker, id, &key, &request).await;
    // A folder's name is cut to its end where the path to it is long.
    let session = format!("{}-{}", &request.session.to_string()[30..], request.generation.0);
    assert!(!processes_naming(&session).is_empty() && !folders_naming(&session, profiles.path()).is_empty());

    assert_eq!(
        product(&worker, &token(&key, &worker, &request)).await,
        reply.browser_version
    );
    let ended = tokio::time::timeout(Duration::from_secs(10), ended(&mut heartbeats))
        .await
        .unwrap();
    assert_eq!(ended.session, request.session);
    assert_eq!(ended.status, ObservedStatus::Ended(EndReason::Disconnected));
    assert!(
        ended.usage.cpu.0 > 0 && ended.usage.memory.0 > 10_000_000,
        "{ended:?}"
    );
    assert_eq!(processes_naming(&session), [""; 0]);
    assert_eq!(folders_naming(&session, profiles.path()), [""; 0]);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_close_of_a_session_that_is_kept_alive_leaves_it_and_its_page_alive() {
    let (key, profiles, id) = (SigningKey::generate(), tempfile::tempdir().unwrap(), worker_id());
    let (control, mut heartbeats, _server) = control(id).await;
    let worker = start(&key, profiles.path(), control).await;
    let request = LaunchRequest {
        keep_alive: true,
        connect_within: None,
        ..launch_request(21)
    };
    launch(&worker, id, &key, &request).await;
    let token = token(&key, &worker, &request);

    let mut first = connect(&worker, &token).await;
    let mut other = connect(&worker, &token).await;
    let targets = command(&mut first, "Target.getTargets").await;
    assert_eq!(targets["result"]["targetInfos"][0]["type"], "page", "{targets}");
    assert_eq!(
        command(&mut first, "Browser.close").await,
        serde_json::json!({ "id": 1, "result": {} })
    );
    let Some(Ok(Message::Close(Some(frame)))) = first.next().await else {
        panic!("no close frame")
    };
    assert_eq!(u16::from(frame.code), 1000);
    assert!(
        first.next().await.is_none(),
        "and the connection is over in order"
    );

    // Neither the other client nor the next one notices; the page is the same.
    assert_eq!(command(&mut other, "Target.getTargets").await, targets);
    let mut again = connect(&worker, &token).await;
    assert_eq!(command(&mut again, "Target.getTargets").await, targets);
    assert!(heartbeats.try_recv().is_err(), "no end was reported");
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_close_of_another_session_ends_it_as_disconnected() {
    let (key, profiles, id) = (SigningKey::generate(), tempfile::tempdir().unwrap(), worker_id());
    let (control, mut heartbeats, _server) = control(id).await;
    let worker = start(&key, profiles.path(), control).await;
    let request = launch_request(22);
    launch(&worker, id, &key, &request).await;
    let mut client = connect(&worker, &token(&key, &worker, &request)).await;
    command(&mut client, "Browser.close").await;
    let ended = tokio::time::timeout(Duration::from_secs(10), ended(&mut heartbeats))
        .await
        .unwrap();
    assert_eq!(ended.status, ObservedStatus::Ended(EndReason::Disconnected));
    worker.shutdown().await;
}
