//! `POST /v1/sessions`.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::AppendHeaders;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use wharf_control::{note_delivery, sessions};
use wharf_domain::{IdleTimeout, ProjectId, Region, SessionId, SessionTimeout, UserMetadata};
use wharf_listener::{Answer, Connection};

use super::{BrowserSettings, ConnectableSession, Proxies, ProxySettings, SessionOptions};
use crate::browserbase::names;
use crate::error::{ApiError, ErrorBody, window_headers};
use crate::extract::{Authenticated, Origin, RepeatableBody};
use crate::state::Api;

/// A session that is asked for. Every field is optional.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, expecting = "an object")]
pub(crate) struct CreateSession {
    /// The key's project; there is no other choice.
    #[schema(value_type = Option<uuid::Uuid>)]
    project_id: Option<String>,
    /// The longest that the session may run, in seconds, counted from the moment its browser answers.
    #[schema(value_type = Option<i32>, minimum = 60, maximum = 21600)]
    timeout: Option<SessionTimeout>,
    /// The longest that the session may go without a byte from a client, in seconds; then it ends as `idle`. Without it,
    /// only `timeout` ends a session that is left alone. Wharf's addition.
    #[schema(value_type = Option<i32>, minimum = 10, maximum = 21600)]
    idle_timeout: Option<IdleTimeout>,
    /// Whether the session outlives its last client.
    keep_alive: Option<bool>,
    /// Where to run it.
    #[schema(schema_with = names::region, required = false)]
    region: Option<Region>,
    /// An object of the caller's own, shorter than 512 characters as JSON. `GET /v1/sessions?q=` finds sessions by it.
    #[schema(value_type = Option<Object>)]
    user_metadata: Option<Map<String, Value>>,
    /// How the browser is to be.
    browser_settings: Option<BrowserSettings>,
    /// The extension to load.
    extension_id: Option<String>,
    /// Where traffic goes out.
    proxies: Option<Proxies>,
    /// How proxies are spoken to.
    proxy_settings: Option<ProxySettings>,
}

type RateLimitHeaders = AppendHeaders<Vec<(HeaderName, HeaderValue)>>;

/// A connection that breaks so soon after an answer may have lost it on the way.
const DELIVERED_AFTER: Duration = Duration::from_secs(5);

/// Create a session
///
/// Answers when the browser is ready to be connected to. A call that repeats an earlier one gets that one's session: one
/// with the same `Idempotency-Key` within a day, and the retry of a generated client whose answer was lost.
#[utoipa::path(
    post,
    path = "/v1/sessions",
    tag = "sessions",
    operation_id = "sessions_create",
    security(("apiKey" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the call, so that repeating it makes no second session")),
    request_body(content = CreateSession, description = "Options; may be left out"),
    responses(
        (status = 201, description = "The session, RUNNING", body = ConnectableSession),
        (status = 402, description = "What the operator does not offer: such a proxy, a list for blockAds, or the tools for caCertificates", body = ErrorBody),
        (status = 409, description = "The Idempotency-Key was used for a call with another body", body = ErrorBody),
        (status = 429, description = "The project's concurrency or creation rate is used up", body = ErrorBody),
        (status = 501, description = "An option that this server cannot honour yet", body = ErrorBody),
        ApiError,
    ),
)]
pub(crate) async fn handler(
    State(api): State<Api>,
    connection: Option<Extension<Connection>>,
    Authenticated(caller): Authenticated,
    origin: Origin,
    RepeatableBody { body, call }: RepeatableBody<CreateSession>,
) -> Result<(StatusCode, RateLimitHeaders, Json<ConnectableSession>), ApiError> {
    let answer = connection.map(|Extension(connection)| connection.answer());
    let repeatable = call.is_some();
    let request = sessions::CreateSession {
        call,
        ..request(body)?
    };
    let created = sessions::create(&api.control, &caller, request).await?;
    if let Some(answer) = answer.filter(|_| repeatable) {
        watch_delivery(&api, answer, created.view.session.id);
    }
    let headers = AppendHeaders(created.window.map(window_headers).into_iter().flatten().collect());
    Ok((
        StatusCode::CREATED,
        headers,
        Json(ConnectableSession::new(created.view, &origin)),
    ))
}

/// Notes whether the answer arrives, so that its repetition gets the session, and nobody else's does.
fn watch_delivery(api: &Api, answer: Answer, session: SessionId) {
    if answer.is_lost() {
        return;
    }
    note_delivery(&api.control, session, true);
    let control = api.control.clone();
    api.tasks.spawn(async move {
        if answer.breaks(DELIVERED_AFTER).await {
            note_delivery(&control, session, false);
        }
    });
}

fn request(body: CreateSession) -> Result<sessions::CreateSession, ApiError> {
    let options = SessionOptions {
        browser_settings: body.browser_settings,
        extension_id: body.extension_id,
        proxies: body.proxies,
        proxy_settings: body.proxy_settings,
        idle_timeout: body.idle_timeout,
    };
    Ok(sessions::CreateSession {
        project: body.project_id.map(|id| project(&id)).transpose()?,
        region: body.region.unwrap_or_default(),
        timeout: body.timeout,
        idle_timeout: body.idle_timeout,
        keep_alive: body.keep_alive.unwrap_or(false),
        user_metadata: body
            .user_metadata
            .map(UserMetadata::try_from)
            .transpose()
            .map_err(|error| ApiError::invalid(format!("body/userMetadata {error}")))?,
        browser: options.browser(),
        ca_certificates: options.ca_certificates(),
        needs: options.needs(),
        options: options.to_stored(),
        call: None,
    })
}

/// What is no UUID is nobody's project: not found, like any other that the caller has no right to.
fn project(id: &str) -> Result<ProjectId, ApiError> {
    id.parse()
        .map_err(|_| ApiError::new(StatusCode::NOT_FOUND, format!("Project {id} not found")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_control::sessions::Capability;

    use wharf_protocol::{ProxyPlace, ProxyRoad};

    use super::*;

    fn parsed(body: Value) -> sessions::CreateSession {
        request(serde_json::from_value(body).expect("the body parses")).expect("the body is valid")
    }

    #[test]
    fn nothing_asked_for_is_a_session_with_the_defaults() {
        let session = parsed(json!({}));
        assert_eq!(
            (session.region, session.keep_alive, session.timeout),
            (Region::UsWest2, false, None)
        );
        assert_eq!((session.options, session.needs), (json!({}), vec![]));
    }

    #[test]
    fn options_are_kept_as_they_were_asked_for() {
        let options = json!({
            "browserSettings": { "viewport": { "width": 1288, "height": 711 }, "blockAds": true, "solveCaptchas": false },
            "proxies": false,
        });
        let session = parsed(options.clone());
        assert_eq!(session.options, options);
        assert!(session.needs.is_empty());
        assert_eq!(
            session.browser.viewport.map(|viewport| viewport.width()),
            Some(1288)
        );
    }

    #[test]
    fn proxies_become_roads_and_their_passwords_are_not_stored() {
        let session = parsed(json!({ "proxies": [
            { "type": "none", "domainPattern": "intern" },
            { "type": "external", "server": "http://p:1", "username": "me", "password": "hunter2" },
            { "type": "browserbase", "geolocation": { "country": "DE" } },
            { "type": "external", "server": "https://me:hunter2@p:2" },
            { "type": "external", "server": "me:hunter2@p:3" },
            { "type": "external", "server": "http:/me:hunt@er2@p/4" },
        ] }));
        let stored = session.options.to_string();
        assert!(!stored.contains("hunt") && !stored.contains("er2"), "{stored}");
        let servers: Vec<&Value> = session.options["proxies"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|rule| rule.get("server"))
            .collect();
        assert_eq!(servers, ["http://p:1", "https://p:2", "p:3", "p/4"]);
        let [direct, external, somewhere, with_user, ..] = &session.browser.proxies[..] else {
            panic!("{:?}", session.browser.proxies);
        };
        assert_eq!(direct.domain_pattern.as_deref(), Some("intern"));
        let ProxyRoad::External { password, .. } = &external.road else {
            panic!("{external:?}");
        };
        assert_eq!(
            password.as_ref().map(|password| password.expose()),
            Some("hunter2")
        );
        assert!(
            matches!(&with_user.road, ProxyRoad::External { server, .. } if server == "https://me:hunter2@p:2"),
            "the launch needs what is not stored"
        );
        assert_eq!(
            somewhere.road,
            ProxyRoad::BuiltIn {
                somewhere: true,
                place: Some(ProxyPlace {
                    country: Some("DE".to_owned()),
                    ..ProxyPlace::default()
                }),
            }
        );
        for (none, rules) in [(json!(false), 0), (json!([]), 0), (json!(true), 1)] {
            assert_eq!(parsed(json!({ "proxies": none })).browser.proxies.len(), rules);
        }
    }

    #[test]
    fn what_cannot_be_ignored_is_noticed() {
        for (body, capability) in [
            (json!({ "extensionId": "e" }), Capability::Extensions),
            (
                json!({ "browserSettings": { "verified": true } }),
                Capability::Verified,
            ),
            (
                json!({ "browserSettings": { "advancedStealth": true } }),
                Capability::Verified,
            ),
            (
                json!({ "browserSettings": { "os": "mac" } }),
                Capability::OperatingSystem,
            ),
            (
                json!({ "browserSettings": { "context": { "id": uuid::Uuid::nil() } } }),
                Capability::Contexts,
            ),
        ] {
            assert_eq!(parsed(body.clone()).needs, [capability], "{body}");
        }
        assert!(
            parsed(json!({ "proxies": [{ "type": "none" }], "browserSettings": { "os": "linux" } }))
                .needs
                .is_empty()
        );
    }
}
