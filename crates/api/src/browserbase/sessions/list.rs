//! `GET /v1/sessions`.

use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;
use wharf_control::sessions::ListSessions;
use wharf_control::{Control, sessions};
use wharf_domain::SessionId;

use super::Session;
use crate::browserbase::names;
use crate::error::ApiError;
use crate::extract::Authenticated;

/// The most sessions of one answer, and how many it has when none are asked for: the original's lists have no pages.
const LIMIT: u16 = 1_000;

/// Which sessions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(crate) struct ListQuery {
    /// Only sessions in this status.
    #[param(schema_with = names::status)]
    status: Option<String>,
    /// Only sessions whose metadata matches, as `user_metadata['env']:'staging'`. Several conditions joined by `AND`,
    /// numbers, booleans, and `''` for a quote in a string are Wharf's additions.
    q: Option<String>,
    /// Only sessions created before this one. Wharf's addition.
    #[param(value_type = Option<uuid::Uuid>)]
    before: Option<String>,
    /// At most so many, 1 to 1000. Wharf's addition.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
}

/// List sessions
///
/// The project's sessions, newest first. When there are more than one answer holds, the header `Link` has the URL of the
/// rest under `rel="next"`.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "sessions",
    operation_id = "sessions_list",
    security(("apiKey" = [])),
    params(ListQuery),
    responses((status = 200, description = "The sessions", body = Vec<Session>), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<(HeaderMap, Json<Vec<Session>>), ApiError> {
    let Query(query) =
        query.map_err(|error| ApiError::invalid(format!("querystring: {}", error.body_text())))?;
    let page = sessions::list(&control, &caller, request(&query)?).await?;
    let mut headers = HeaderMap::new();
    if let Some(before) = page.more_before {
        headers.insert(header::LINK, next_link(&query, before));
    }
    Ok((
        headers,
        Json(page.sessions.into_iter().map(Session::from).collect()),
    ))
}

fn request(query: &ListQuery) -> Result<ListSessions, ApiError> {
    let limit = match query.limit.as_deref().map(str::parse) {
        None => LIMIT,
        Some(Ok(limit @ 1..=LIMIT)) => limit,
        Some(_) => {
            return Err(ApiError::invalid(format!(
                "querystring/limit must be an integer from 1 to {LIMIT}"
            )));
        }
    };
    Ok(ListSessions {
        status: parameter("status", query.status.as_deref())?,
        query: parameter("q", query.q.as_deref())?,
        before: parameter("before", query.before.as_deref())?,
        limit,
    })
}

fn parameter<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, ApiError> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error| ApiError::invalid(format!("querystring/{name} {error}")))
}

/// The same question, about the sessions before the last one of this answer. Relative, so that it holds behind a proxy.
fn next_link(query: &ListQuery, before: SessionId) -> HeaderValue {
    let mut parameters = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("status", &query.status),
        ("q", &query.q),
        ("limit", &query.limit),
    ] {
        if let Some(value) = value {
            parameters.append_pair(name, value);
        }
    }
    parameters.append_pair("before", &before.to_string());
    HeaderValue::from_str(&format!("</v1/sessions?{}>; rel=\"next\"", parameters.finish()))
        .expect("a form-encoded query is ASCII")
}

#[cfg(test)]
mod tests {
    use wharf_domain::SessionStatus;

    use super::*;

    #[test]
    fn parameters_are_read_and_refused_by_name() {
        let query = ListQuery {
            status: Some("RUNNING".to_owned()),
            ..ListQuery::default()
        };
        assert_eq!(
            request(&query).expect("valid").status,
            Some(SessionStatus::Running)
        );
        for (query, name) in [
            (
                ListQuery {
                    status: Some("running".to_owned()),
                    ..ListQuery::default()
                },
                "querystring/status must be one of",
            ),
            (
                ListQuery {
                    q: Some("env:'x'".to_owned()),
                    ..ListQuery::default()
                },
                "querystring/q is not a metadata query: user_metadata expected at column 1",
            ),
            (
                ListQuery {
                    limit: Some("0".to_owned()),
                    ..ListQuery::default()
                },
                "querystring/limit must be an integer from 1 to 1000",
            ),
            (
                ListQuery {
                    limit: Some("many".to_owned()),
                    ..ListQuery::default()
                },
                "querystring/limit must be an integer from 1 to 1000",
            ),
            (
                ListQuery {
                    before: Some("x".to_owned()),
                    ..ListQuery::default()
                },
                "querystring/before must be a UUID",
            ),
        ] {
            let error = format!("{:?}", request(&query).expect_err("refused"));
            assert!(error.replace('\\', "").contains(name), "{error}");
        }
    }

    #[test]
    fn the_next_page_asks_the_same_question() {
        let query = ListQuery {
            q: Some("user_metadata['a']:'b c'".to_owned()),
            ..ListQuery::default()
        };
        let before = SessionId::from(uuid::Uuid::nil());
        assert_eq!(
            next_link(&query, before),
            "</v1/sessions?q=user_metadata%5B%27a%27%5D%3A%27b+c%27&before=00000000-0000-0000-0000-000000000000>; rel=\"next\""
        );
    }
}
