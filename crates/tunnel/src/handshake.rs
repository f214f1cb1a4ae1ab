//! The client's half: is this a WebSocket upgrade, and what of it goes on.

use axum::body::Body;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::upgrade::OnUpgrade;

use crate::Refusal;

/// What is repeated to the other side. Not `Origin`, which Chromium checks, and not `Sec-WebSocket-Extensions`: frames
/// stay uncompressed, so that whoever looks into them later can. Not cookies or keys either.
const REPEATED: [HeaderName; 3] = [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_PROTOCOL];

/// The length of 16 bytes in base64, which RFC 6455 asks of a key.
const KEY_LENGTH: usize = 24;

/// A client that asked for a WebSocket, in due form, and waits for the answer.
pub struct ClientHandshake {
    /// Resolves to the client's socket once the answer 101 is written.
    pub upgrade: OnUpgrade,
    /// The headers of the client's handshake that the other side must see.
    pub headers: HeaderMap,
}

impl ClientHandshake {
    /// Takes the upgrade out of the request.
    ///
    /// # Errors
    /// 426 when no WebSocket is asked for, or not version 13; 400 when it is asked for wrongly.
    pub fn from_request(request: &mut Request<Body>) -> Result<Self, Refusal> {
        let headers = request.headers();
        let asked = request.method() == Method::GET
            && has_token(headers, &CONNECTION, "upgrade")
            && has_token(headers, &UPGRADE, "websocket");
        if !asked {
            return Err(upgrade_required(
                "this is the address of a browser session, for CDP clients: connect to it over WebSocket, for example \
                 with Playwright's chromium.connectOverCDP(connectUrl)",
            ));
        }
        if headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            let refusal = Refusal::new(
                StatusCode::UPGRADE_REQUIRED,
                "only WebSocket version 13 is spoken here",
            );
            return Err(refusal.with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
        }
        if headers
            .get(SEC_WEBSOCKET_KEY)
            .is_none_or(|key| key.len() != KEY_LENGTH)
        {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "the WebSocket handshake has no valid Sec-WebSocket-Key: use a WebSocket client",
            ));
        }
        let repeated = repeated(headers);
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            return Err(upgrade_required("a WebSocket needs HTTP/1.1"));
        };
        Ok(Self {
            upgrade,
            headers: repeated,
        })
    }
}

fn upgrade_required(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::UPGRADE_REQUIRED, message).with(UPGRADE, HeaderValue::from_static("websocket"))
}

fn repeated(headers: &HeaderMap) -> HeaderMap {
    let mut repeated = HeaderMap::new();
    for name in REPEATED {
        for value in headers.get_all(&name) {
            repeated.append(&name, value.clone());
        }
    }
    repeated
}

/// Whether a header that is a list of tokens, perhaps over several lines, has this one.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}
