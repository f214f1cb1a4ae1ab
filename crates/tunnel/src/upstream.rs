//! The far half: a fresh upgrade towards the browser, or towards the worker that has it.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::handshake::has_token;
use crate::{hop, socket};

/// For the connection and the answer together. Both ends are ours and near.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A refusal is a line of JSON; what is longer is not one.
const MOST_REFUSAL_BYTES: usize = 64 * 1024;

/// Why there is no answer that could be passed on.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// There is no connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Whom it was to.
        address: String,
        /// The system's refusal.
        source: std::io::Error,
    },
    /// The connection ended too early, or what came over it is no HTTP.
    #[error("{address} broke off its answer: {reason}")]
    Broken {
        /// Who was asked.
        address: String,
        /// What was wrong.
        reason: String,
    },
    /// No answer in time.
    #[error("{address} did not answer within {DIAL_TIMEOUT:?}")]
    Silent {
        /// Who was asked.
        address: String,
    },
    /// An answer that agrees to something else.
    #[error("{address} answered 101 without {missing}")]
    NotWebSocket {
        /// Who was asked.
        address: String,
        /// What the answer lacks.
        missing: &'static str,
    },
}

/// What came back.
pub enum Answer {
    /// 101, in due form.
    Upgraded(Upstream),
    /// Anything else, with its body.
    Refused(Response<Bytes>),
}

/// The far side's socket, from the first byte after its answer 101.
pub struct Upstream {
    pub(super) stream: TcpStream,
    /// What arrived together with the answer.
    pub(super) read_ahead: Bytes,
    headers: HeaderMap,
}

impl Upstream {
    /// Whether the far side is a worker that takes a client's bytes in a hop's chunks.
    pub fn is_hop(&self) -> bool {
        hop::names_hop(&self.headers)
    }

    /// The answer to the client: the far side's, and nothing that was not asked for.
    pub fn switching_protocols(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        for name in [SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL] {
            if let Some(value) = self.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        response
    }
}

/// Asks `address` (`host:port`) for a WebSocket at `target`, with the client's own handshake headers.
///
/// # Errors
/// See [`DialError`].
pub async fn dial(address: &str, target: &str, handshake: HeaderMap) -> Result<Answer, DialError> {
    dial_through(TcpStream::connect(address), address, target, handshake).await
}

/// The same over a connection that is made another way; `address` is the host that is then asked.
///
/// # Errors
/// See [`DialError`].
pub async fn dial_through(
    connecting: impl Future<Output = std::io::Result<TcpStream>>,
    address: &str,
    target: &str,
    handshake: HeaderMap,
) -> Result<Answer, DialError> {
    tokio::time::timeout(
        DIAL_TIMEOUT,
        dial_patiently(connecting, address, target, handshake),
    )
    .await
    .unwrap_or_else(|_| {
        Err(DialError::Silent {
            address: address.to_owned(),
        })
    })
}

async fn dial_patiently(
    connecting: impl Future<Output = std::io::Result<TcpStream>>,
    address: &str,
    target: &str,
    handshake: HeaderMap,
) -> Result<Answer, DialError> {
    let broken = |reason: String| DialError::Broken {
        address: address.to_owned(),
        reason,
    };
    let stream = connecting.await.map_err(|source| DialError::Connect {
        address: address.to_owned(),
        source,
    })?;
    socket::tune(&stream);
    let request = upgrade_request(address, target, handshake).map_err(|error| broken(error.to_string()))?;

    let (mut sender, mut connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.to_string()))?;
    // The connection moves only while it is polled; polled here, it needs no task and gives its socket back.
    let moving = async {
        let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
        pending::<Infallible>().await
    };
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(error.to_string()))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response.map(|_| None));
        }
        collect(response).await.map_err(broken)
    };
    let response = tokio::select! {
        response = exchange => response?,
        never = moving => match never {},
    };
    let (head, body) = response.into_parts();
    if let Some(body) = body {
        return Ok(Answer::Refused(Response::from_parts(head, body)));
    }
    if let Some(missing) = missing(&head.headers) {
        return Err(DialError::NotWebSocket {
            address: address.to_owned(),
            missing,
        });
    }
    let parts = connection.into_parts();
    Ok(Answer::Upgraded(Upstream {
        stream: parts.io.into_inner(),
        read_ahead: parts.read_buf,
        headers: head.headers,
    }))
}

fn upgrade_request(
    address: &str,
    target: &str,
    handshake: HeaderMap,
) -> Result<Request<Empty<Bytes>>, axum::http::Error> {
    let mut request = Request::get(target)
        .header(HOST, address)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .body(Empty::new())?;
    request.headers_mut().extend(handshake);
    Ok(request)
}

async fn collect(response: Response<Incoming>) -> Result<Response<Option<Bytes>>, String> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MOST_REFUSAL_BYTES)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok(Response::from_parts(head, Some(body.to_bytes())))
}

/// What a 101 lacks, or has too much, to be the answer to our handshake. Clients break on a lax one in ways that are
/// hard to read ("Unexpected server response: 101").
fn missing(headers: &HeaderMap) -> Option<&'static str> {
    if !has_token(headers, &CONNECTION, "upgrade") {
        Some("Connection: Upgrade")
    } else if !has_token(headers, &UPGRADE, "websocket") {
        Some("Upgrade: websocket")
    } else if headers.get_all(SEC_WEBSOCKET_ACCEPT).iter().count() != 1 {
        Some("one Sec-WebSocket-Accept")
    } else if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        Some("leaving out extensions, which nobody asked for")
    } else {
        None
    }
}
