//! `GET /v1/sessions/{id}/events`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use wharf_control::{Control, sessions};
use wharf_domain::SessionId;
use wharf_store::sessions::Event as StoredEvent;

use crate::browserbase::names;
use crate::browserbase::timestamp::WireTimestamp;
use crate::error::ApiError;
use crate::extract::{Authenticated, IdPath};

/// A transition of a session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// When.
    occurred_at: WireTimestamp,
    /// What: it was queued for a slot, placed on a worker, started, or it ended.
    #[schema(schema_with = names::event_kind)]
    kind: &'static str,
    /// The session's status from then on.
    #[schema(schema_with = names::status)]
    status: &'static str,
    /// Which launch of the session it concerns: rises when a launch fails and is tried on another worker.
    generation: i32,
    /// The worker that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<Uuid>,
    /// Why the session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = names::end_reason, required = false)]
    end_reason: Option<&'static str>,
    /// Who caused it.
    actor: Actor,
}

/// Who caused a transition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Actor {
    /// `api_key`, `worker`, `reconciler` or `control_plane`.
    kind: String,
    /// Which key or worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
}

impl From<StoredEvent> for Event {
    fn from(event: StoredEvent) -> Self {
        Self {
            occurred_at: WireTimestamp(event.occurred_at),
            kind: event.kind.name(),
            status: event.status.name(),
            generation: event.generation.0,
            worker_id: event.worker.map(|worker| worker.as_uuid()),
            end_reason: event.end_reason.map(|reason| reason.name()),
            actor: Actor {
                kind: event.actor,
                id: event.actor_id,
            },
        }
    }
}

/// List what happened to a session
///
/// Every transition, oldest first, with its time, reason and actor. Wharf's addition.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/events",
    tag = "sessions",
    operation_id = "sessions_events",
    security(("apiKey" = [])),
    params(("id" = uuid::Uuid, Path, description = "The session")),
    responses((status = 200, description = "Its events", body = Vec<Event>), ApiError),
)]
pub(crate) async fn handler(
    State(control): State<Control>,
    Authenticated(caller): Authenticated,
    IdPath(id): IdPath<SessionId>,
) -> Result<Json<Vec<Event>>, ApiError> {
    let events = sessions::events(&control, &caller, id).await?;
    Ok(Json(events.into_iter().map(Event::from).collect()))
}
