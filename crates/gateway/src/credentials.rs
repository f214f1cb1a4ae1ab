//! What a client proves itself with, in each of the forms that clients use.

use axum::http::{HeaderMap, StatusCode};
use url::form_urlencoded;
use wharf_domain::{ApiKey, SessionId};
use wharf_protocol::ConnectToken;

use wharf_tunnel::Refusal;

const SIGNING_KEY_HEADER: &str = "x-bb-signing-key";
const API_KEY_HEADER: &str = "x-bb-api-key";
const SESSION_ID_HEADER: &str = "session-id";

/// A way to be let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// The token of a `connectUrl`.
    Token(ConnectToken),
    /// What clients from before tokens send. Only the api knows whether the key may use the session.
    Key { key: ApiKey, session: SessionId },
}

impl Credentials {
    /// Reads the query, or else the headers. Parameters that are not known here, like `enableProxy`, change nothing.
    ///
    /// # Errors
    /// 401 without any credentials or with a malformed key, 404 for a key alone, 400 for an impossible session id.
    pub(crate) fn from_request(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Refusal> {
        let in_query = |wanted: &str| {
            form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .find(|(name, value)| name == wanted && !value.is_empty())
                .map(|(_, value)| value.into_owned())
        };
        let in_headers = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);

        if let Some(token) = in_query("signingKey").or_else(|| in_headers(SIGNING_KEY_HEADER)) {
            return Ok(Self::Token(ConnectToken::from_client(token)));
        }
        let Some(key) = in_query("apiKey").or_else(|| in_headers(API_KEY_HEADER)) else {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "there is no signingKey in the URL: connect to the connectUrl of a session as it was given",
            ));
        };
        let Some(session) = in_query("sessionId").or_else(|| in_headers(SESSION_ID_HEADER)) else {
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "there is no sessionId in the URL, and a session is not made on the fly: create one first (POST \
                 /v1/sessions), then connect to its connectUrl",
            ));
        };
        let session = session.parse().map_err(|_| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "the sessionId is not an id of a session: a UUID is expected",
            )
        })?;
        let key = key
            .parse()
            .map_err(|_| Refusal::new(StatusCode::UNAUTHORIZED, "the API key is not valid"))?;
        Ok(Self::Key { key, session })
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use wharf_domain::SeededEntropy;

    use super::*;

    const SESSION: &str = "0191a2b3-0000-7000-8000-000000000001";

    fn key() -> ApiKey {
        ApiKey::mint(&SeededEntropy::new(1))
    }

    fn read(query: &str, headers: &[(&'static str, &str)]) -> Result<Credentials, Refusal> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Credentials::from_request(Some(query), &headers)
    }

    #[test]
    fn every_form_that_clients_use_is_read() {
        let token = Credentials::Token(ConnectToken::from_client("a.b.c".to_owned()));
        assert_eq!(read("signingKey=a.b.c", &[]), Ok(token));
        let token = Credentials::Token(ConnectToken::from_client("a.b+c".to_owned()));
        assert_eq!(
            read(
                "stealth&enableProxy=true&signingKey=a.b%2Bc&signingKey=second",
                &[]
            ),
            Ok(token)
        );
        let token = Credentials::Token(ConnectToken::from_client("a.b.c".to_owned()));
        assert_eq!(read("", &[(SIGNING_KEY_HEADER, "a.b.c")]), Ok(token));

        let session: SessionId = SESSION.parse().unwrap();
        let query = format!("enableProxy=true&apiKey={}&sessionId={SESSION}", key().expose());
        assert_eq!(read(&query, &[]), Ok(Credentials::Key { key: key(), session }));
        let headers = [
            (API_KEY_HEADER, key().expose().to_owned()),
            (SESSION_ID_HEADER, SESSION.to_owned()),
        ];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(read("", &headers), Ok(Credentials::Key { key: key(), session }));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told_apart() {
        for (query, status) in [
            (String::new(), StatusCode::UNAUTHORIZED),
            ("signingKey=".to_owned(), StatusCode::UNAUTHORIZED),
            (format!("apiKey={}", key().expose()), StatusCode::NOT_FOUND),
            (
                format!("apiKey={}&sessionId=../../projects", key().expose()),
                StatusCode::BAD_REQUEST,
            ),
            (
                format!("apiKey=bb_live_wrong&sessionId={SESSION}"),
                StatusCode::UNAUTHORIZED,
            ),
        ] {
            assert_eq!(
                read(&query, &[]).unwrap_err().into_response().status(),
                status,
                "{query}"
            );
        }
    }
}
