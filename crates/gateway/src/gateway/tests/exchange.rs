//! Clients that come with an API key and a session id.

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::{Json, Router, routing};
use serde_json::{Value, json};
use tokio::sync::watch;
use wharf_domain::ApiKey;

use super::*;
use wharf_tunnel::testing::{FarEnd, HANDSHAKE, Reply, SWITCHING, get};

const SESSION: &str = "0191a2b3-0000-7000-8000-000000000001";

fn key() -> String {
    ApiKey::mint(&SeededEntropy::new(1)).expose().to_owned()
}

/// An api, below a path prefix, that gives this answer to the right key and session and 422 to others.
struct Api {
    address: String,
    answer: watch::Sender<(u16, Value)>,
    _server: JoinSet<()>,
}

impl Api {
    async fn answering(status: u16, body: Value) -> Self {
        let answer = watch::Sender::new((status, body));
        let answers = answer.subscribe();
        let handler = move |Path(session): Path<String>, headers: HeaderMap| async move {
            let (status, body) = answers.borrow().clone();
            let asked_rightly = session == SESSION && headers["x-bb-api-key"] == key();
            let status = if asked_rightly { status } else { 422 };
            (StatusCode::from_u16(status).unwrap(), Json(body))
        };
        let router = Router::new().route("/base/v1/sessions/{id}", routing::get(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/base/", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            answer,
            _server: server,
        }
    }
}

async fn connect(served: &Served) -> Reply {
    let target = format!("/?apiKey={}&sessionId={SESSION}&enableProxy=true", key());
    get(served.address, &target, HANDSHAKE).await.0
}

#[tokio::test]
async fn a_key_and_a_session_id_let_in_whom_the_api_gives_a_token() {
    let worker = FarEnd::answering(SWITCHING).await;
    let api = Api::answering(200, Value::Null).await;
    let served = Served::with_api(&api.address).await;
    let session = json!({ "status": "RUNNING", "signingKey": served.token(worker.address) });
    api.answer.send_replace((200, session));

    let by_query = connect(&served).await;
    assert_eq!(by_query.status, 101, "{by_query:?}");
    let headers = format!("{HANDSHAKE}x-bb-api-key: {}\r\nsession-id: {SESSION}\r\n", key());
    let (by_headers, _) = get(served.address, "/", &headers).await;
    assert_eq!(by_headers.status, 101, "{by_headers:?}");
}

#[tokio::test]
async fn the_apis_refusals_are_passed_on() {
    for status in [401, 404] {
        let api = Api::answering(
            status,
            json!({ "statusCode": status, "message": "as the api says" }),
        )
        .await;
        let reply = connect(&Served::with_api(&api.address).await).await;
        assert_eq!(reply.status, status);
        assert!(reply.body.contains("as the api says"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_session_without_a_token_has_ended() {
    let api = Api::answering(200, json!({ "id": SESSION, "status": "COMPLETED" })).await;
    assert_eq!(connect(&Served::with_api(&api.address).await).await.status, 410);
}

#[tokio::test]
async fn an_api_that_is_down_is_worth_another_try() {
    let api = Api::answering(500, json!({ "message": "secret trouble" })).await;
    for served in [Served::start().await, Served::with_api(&api.address).await] {
        let reply = connect(&served).await;
        assert_eq!(reply.status, 503);
        assert!(
            reply.head.contains("retry-after: 2") && !reply.body.contains("secret"),
            "{reply:?}"
        );
    }
}
