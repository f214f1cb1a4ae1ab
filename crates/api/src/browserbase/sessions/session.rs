//! A session on the wire. Absent fields are left out, as the original does; clients take `null` for a value.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use wharf_control::sessions::SessionView;
use wharf_store::sessions::Session as StoredSession;

use super::SessionOptions;
use crate::browserbase::names;
use crate::browserbase::timestamp::WireTimestamp;
use crate::extract::Origin;

/// A session.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    /// Its id.
    id: Uuid,
    /// When it was asked for.
    created_at: WireTimestamp,
    /// When it last changed.
    updated_at: WireTimestamp,
    /// Its project.
    project_id: Uuid,
    /// When its browser answered; when it was asked for, until then.
    started_at: WireTimestamp,
    /// When it is ended at the latest.
    expires_at: WireTimestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<WireTimestamp>,
    /// Where it is in its life.
    #[schema(schema_with = names::status)]
    status: &'static str,
    /// Why it ended. Wharf's addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = names::end_reason, required = false)]
    end_reason: Option<&'static str>,
    /// The region that it runs in.
    #[schema(schema_with = names::region)]
    region: &'static str,
    /// Whether it outlives its last client.
    keep_alive: bool,
    /// Bytes through its proxy, both directions.
    proxy_bytes: u64,
    /// Bytes to the world and back by any road, `proxyBytes` among them. Wharf's addition.
    egress_bytes: u64,
    /// Mean CPU use since its start, in percent of one core.
    avg_cpu_usage: u32,
    /// Highest memory use seen, in bytes, as proportional set size: pages shared with other browsers count by share.
    memory_usage: u64,
    /// The profile that it started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_id: Option<Uuid>,
    /// The caller's own object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    user_metadata: Option<serde_json::Value>,
    /// The options that it was created with. Wharf's addition.
    #[serde(flatten)]
    options: SessionOptions,
}

impl From<StoredSession> for Session {
    fn from(session: StoredSession) -> Self {
        let options = SessionOptions::from_stored(&session);
        Self {
            id: session.id.as_uuid(),
            created_at: WireTimestamp(session.created_at),
            updated_at: WireTimestamp(session.updated_at),
            project_id: session.project.as_uuid(),
            started_at: WireTimestamp(session.started_at.unwrap_or(session.created_at)),
            expires_at: WireTimestamp(session.expires_at),
            ended_at: session.ended_at.map(WireTimestamp),
            status: session.status.name(),
            end_reason: session.end_reason.map(|reason| reason.name()),
            region: session.region.name(),
            keep_alive: session.keep_alive,
            proxy_bytes: session.proxy_bytes.0,
            egress_bytes: session.egress_bytes.0,
            avg_cpu_usage: session.average_cpu.0,
            memory_usage: session.memory.0,
            context_id: options.context_id(),
            user_metadata: session.user_metadata,
            options,
        }
    }
}

/// A session, and how to connect to it while it lives.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectableSession {
    #[serde(flatten)]
    session: Session,
    /// Where Playwright, Puppeteer and Stagehand connect. Whoever has it drives the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_url: Option<String>,
    /// Where Selenium connects.
    #[serde(skip_serializing_if = "Option::is_none")]
    selenium_remote_url: Option<String>,
    /// What lets its holder in; part of `connectUrl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_key: Option<String>,
}

impl ConnectableSession {
    /// The session as a caller sees it that reached us at `origin`.
    pub(super) fn new(view: SessionView, origin: &Origin) -> Self {
        let token = view
            .connection
            .map(|connection| connection.token.expose().to_owned());
        Self {
            session: view.session.into(),
            connect_url: token.as_deref().map(|token| origin.connect_url(token)),
            selenium_remote_url: token.as_ref().map(|_| origin.selenium_url()),
            signing_key: token,
        }
    }
}
