//! Pages that no interception sees on their way: they are known once they are there.
//!
//! `blob:` and `filesystem:` hold what a page has made itself, of whatever site its frame is. The browser's settings can
//! switch on again what [`super::preloading`] has switched off; no page gets there, but a client does. It has been
//! there for as long as the event takes to reach us: short, but not nothing.

use super::{Failure, Known, Target, Verdict};
use crate::cdp::{CdpError, CdpEvent, CdpPipe};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// Pages of the browser that can change a setting: its functions for that, extensions, and policies made by hand.
const SETTERS: [&str; 4] = ["settings", "password-manager", "extensions", "policy"];
/// It shows a page's source, and is that page all the same.
const SOURCE: &str = "view-source:";

/// Where targets are now.
pub(super) struct Arrivals(Receiver<CdpEvent>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct All {
    target_infos: Vec<Target>,
}

impl Arrivals {
    /// From now on, once targets are discovered.
    pub(super) fn of(cdp: &CdpPipe) -> Arrivals {
        Arrivals(cdp.events())
    }

    /// The next target that is new or elsewhere. All of them, when too many have been for each to be kept.
    async fn next(&mut self, cdp: &CdpPipe) -> Result<Vec<Target>, CdpError> {
        loop {
            match self.0.recv().await {
                Ok(event) if is_arrival(&event) => {
                    return Ok(vec![
                        read::<Known>(&event.method, event.params.get())?.target_info,
                    ]);
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    let method = "Target.getTargets";
                    let answer = cdp.call(method, json!({})).await?;
                    return Ok(read::<All>(method, answer.get())?.target_infos);
                }
                Err(RecvError::Closed) => return Err(CdpError::Closed),
            }
        }
    }
}

fn is_arrival(event: &CdpEvent) -> bool {
    event.session.is_none()
        && matches!(
            event.method.as_str(),
            "Target.targetCreated" | "Target.targetInfoChanged"
        )
}

fn read<'a, T: Deserialize<'a>>(method: &str, json: &'a str) -> Result<T, CdpError> {
    serde_json::from_str(json).map_err(|source| CdpError::Json {
        method: method.to_owned(),
        source,
    })
}

/// Closes what may not be there, until the browser ends or has to.
pub(super) async fn keep(cdp: &CdpPipe, mut arrivals: Arrivals, may_navigate: &Verdict) -> Failure {
    loop {
        let closed = match arrivals.next(cdp).await {
            Ok(targets) => match decide(&targets, may_navigate) {
                Ok(targets) => close(cdp, targets).await,
                Err(url) => return Failure::Settings(url),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = closed {
            return Failure::Cdp(error);
        }
    }
}

/// The pages to close; or the URL of one that may already have undone what was switched off.
fn decide(targets: &[Target], may_navigate: &Verdict) -> Result<Vec<String>, String> {
    let mut closed = Vec::new();
    for target in targets {
        let url = target.url.strip_prefix(SOURCE).unwrap_or(&target.url);
        if changes_settings(url) {
            return Err(target.url.clone());
        }
        // Frames may be what they like.
        if target.r#type == "page" && is_made_by_a_page(url) && !may_navigate(url) {
            closed.push(target.target_id.clone());
        }
    }
    Ok(closed)
}

async fn close(cdp: &CdpPipe, targets: Vec<String>) -> Result<(), CdpError> {
    for target in targets {
        // Refused when it has gone by itself.
        cdp.tell("Target.closeTarget", json!({ "targetId": target }))
            .await?;
    }
    Ok(())
}

/// Chromium spells its own URLs in lower case and with slashes, however they were given.
fn changes_settings(url: &str) -> bool {
    let rest = url.strip_prefix("chrome://");
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    host.is_some_and(|host| SETTERS.contains(&host))
}

fn is_made_by_a_page(url: &str) -> bool {
    url.starts_with("blob:") || url.starts_with("filesystem:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn decided(r#type: &str, url: &str) -> Result<Vec<String>, String> {
        let target = Target {
            target_id: "1".to_owned(),
            r#type: r#type.to_owned(),
            url: url.to_owned(),
        };
        let verdict: Verdict = Arc::new(|url| !url.contains("bad"));
        decide(&[target], &verdict)
    }

    #[test]
    fn where_settings_change_is_told_from_the_browsers_other_pages() {
        for url in [
            "chrome://settings/",
            "chrome://settings/none",
            "chrome://settings?search=a",
            "view-source:chrome://settings/none",
            "chrome://policy/test",
            "chrome://extensions/",
            "chrome://password-manager/passwords",
        ] {
            for r#type in ["page", "iframe", "other"] {
                assert_eq!(decided(r#type, url), Err(url.to_owned()));
            }
        }
        for url in [
            "chrome://version/",
            "chrome://app-settings/",
            "chrome://new-tab-page/settings",
            "https://settings/",
            "about:settings",
            "",
        ] {
            assert_eq!(decided("page", url), Ok(Vec::new()), "{url}");
        }
    }

    #[test]
    fn only_pages_are_closed_and_only_those_that_a_page_has_made() {
        let closed = Ok(vec!["1".to_owned()]);
        assert_eq!(decided("page", "blob:https://bad/1"), closed);
        assert_eq!(decided("page", "view-source:blob:https://bad/1"), closed);
        assert_eq!(decided("page", "filesystem:https://bad/temporary/1"), closed);
        for (r#type, url) in [
            ("iframe", "blob:https://bad/1"),
            ("page", "blob:https://good/1"),
            ("page", "https://bad/"),
        ] {
            assert_eq!(decided(r#type, url), Ok(Vec::new()), "{url}");
        }
    }
}
