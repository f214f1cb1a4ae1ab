//! Control plane to worker: start a browser.

use crate::ProxyRule;
use serde::{Deserialize, Serialize};
use wharf_domain::{AllowedDomain, Generation, Millis, ProjectId, SessionId, Viewport};

/// `error` of a worker's answer 503 when every slot is taken; another worker may do.
pub const REFUSED_FULL: &str = "no free slot";

/// Start a browser for a session. Repeating it for the same session and generation gives the same browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchRequest {
    /// The session.
    pub session: SessionId,
    /// Its project, so that the worker's log can name it.
    pub project: ProjectId,
    /// Which launch of the session this is.
    pub generation: Generation,
    /// How long the session may run from the moment its browser answers. A duration, so that clocks need not agree.
    pub timeout: Millis,
    /// How long the first client may take; `None` for a session that is kept alive.
    pub connect_within: Option<Millis>,
    /// How long it may go without a byte from a client before it ends; `None` for as long as it may run.
    #[serde(default)]
    pub idle_timeout: Option<Millis>,
    /// Whether the session outlives its last client.
    pub keep_alive: bool,
    /// How long the launch itself may take.
    pub launch_within: Millis,
    /// What the browser is to be like.
    pub browser: BrowserOptions,
}

/// The options that change how a browser starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrowserOptions {
    /// Size of the pages; the browser's default without.
    pub viewport: Option<Viewport>,
    /// Whether pages with broken certificates load.
    pub ignore_certificate_errors: bool,
    /// Where traffic goes out; directly without.
    pub proxies: Vec<ProxyRule>,
    /// Certificates, in PEM, that pages and upstream proxies may show beside those that everybody trusts.
    pub ca_certificates: Vec<String>,
    /// Where pages may navigate to; anywhere when empty.
    pub allowed_domains: Vec<AllowedDomain>,
    /// Whether advertisements are kept out.
    pub block_ads: bool,
}

/// The browser answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchReply {
    /// The browser's product name and version.
    pub browser_version: String,
    /// How long the worker took, from the request to the browser's answer.
    pub took: Millis,
}
