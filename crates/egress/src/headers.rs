//! Which headers go on, and which were for this hop alone.

use hyper::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRANSFER_ENCODING, UPGRADE,
};

use crate::page::REASON;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");

/// For one hop, whether or not `Connection` names them. hyper frames bodies by itself, and has itself answered `Expect`.
const ONE_HOP: [HeaderName; 10] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHENTICATION_INFO,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// The headers that go on, in their order. `Host` is the target's, whatever the browser wrote.
pub(crate) fn of_request(headers: &HeaderMap, host: &HeaderValue, websocket: bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len());
    kept.insert(HOST, host.clone());
    keep(headers, &mut kept, &[HOST]);
    if websocket {
        ask_for_websocket(&mut kept);
    }
    kept
}

/// The headers that go on, in their order.
pub(crate) fn of_answer(headers: &HeaderMap, websocket: bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len());
    keep(headers, &mut kept, &[REASON]);
    if websocket {
        ask_for_websocket(&mut kept);
    }
    kept
}

fn ask_for_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn keep(from: &HeaderMap, into: &mut HeaderMap, not: &[HeaderName]) {
    let named = tokens(from, &CONNECTION);
    for (name, value) in from {
        let one_hop = ONE_HOP.contains(name) || not.contains(name);
        if !one_hop
            && !named
                .iter()
                .any(|token| token.eq_ignore_ascii_case(name.as_str()))
        {
            into.append(name.clone(), value.clone());
        }
    }
}

/// Whether the head asks for a WebSocket, or grants one.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let has = |name: &HeaderName, wanted: &str| {
        tokens(headers, name)
            .iter()
            .any(|token| token.eq_ignore_ascii_case(wanted))
    };
    has(&CONNECTION, "upgrade") && has(&UPGRADE, "websocket")
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn what_is_for_this_hop_stays_here() {
        let from = headers(&[
            ("host", "evil.example"),
            ("user-agent", "u"),
            ("connection", "keep-alive, X-Secret,"),
            ("x-secret", "1"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("cookie", "a=b"),
        ]);
        let kept = of_request(&from, &HeaderValue::from_static("example.com"), false);
        assert_eq!(names(&kept), ["host", "user-agent", "cookie"]);
        assert_eq!(kept[HOST], "example.com");
    }

    #[test]
    fn only_a_websocket_is_upgraded_to() {
        assert!(is_websocket(&headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket")
        ])));
        assert!(!is_websocket(&headers(&[
            ("connection", "upgrade"),
            ("upgrade", "h2c")
        ])));
        assert!(!is_websocket(&headers(&[("upgrade", "websocket")])));
    }

    #[test]
    fn the_world_cannot_speak_in_our_name() {
        let kept = of_answer(&headers(&[("x-wharf-egress", "blocked"), ("server", "s")]), false);
        assert_eq!(names(&kept), ["server"]);
    }
}
