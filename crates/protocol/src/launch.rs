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
///
/// A worker refuses one that it does not know, and the session goes to another: it is not to run without, as on a worker
/// that is older than the api. So what is not asked for is not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BrowserOptions {
    /// Size of the pages; the browser's default without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewport: Option<Viewport>,
    /// Whether pages with broken certificates load.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_certificate_errors: bool,
    /// Where traffic goes out; directly without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<ProxyRule>,
    /// Certificates, in PEM, that pages and upstream proxies may show beside those that everybody trusts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ca_certificates: Vec<String>,
    /// Where pages may navigate to; anywhere when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_domains: Vec<AllowedDomain>,
    /// Whether advertisements are kept out.
    #[serde(skip_serializing_if = "is_false")]
    pub block_ads: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_not_sent_and_what_is_not_known_is_refused() {
        let plain = serde_json::to_value(BrowserOptions::default()).unwrap();
        assert_eq!(plain, serde_json::json!({}));
        let asked = BrowserOptions {
            block_ads: true,
            ..BrowserOptions::default()
        };
        let sent = serde_json::to_value(&asked).unwrap();
        assert_eq!(sent, serde_json::json!({ "blockAds": true }));
        assert_eq!(serde_json::from_value::<BrowserOptions>(sent).unwrap(), asked);
        let newer = serde_json::json!({ "blockPopups": true });
        assert!(serde_json::from_value::<BrowserOptions>(newer).is_err());
    }
}
