//! Bringing a started browser to the state a client may expect: one context, one page, the right size.

use crate::cdp::{CdpError, CdpPipe};
use crate::flags::Viewport;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

/// The browser started, but not in the expected state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    #[error(transparent)]
    Cdp(#[from] CdpError),
    #[error(
        "it opened {pages} pages and {contexts} extra contexts instead of one page in the default context"
    )]
    Unexpected { pages: usize, contexts: usize },
}

#[derive(Deserialize)]
struct Version {
    product: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    target_id: String,
    r#type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    target_infos: Vec<Target>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contexts {
    browser_context_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    window_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attached {
    session_id: String,
}

/// Waits for the browser and its first page, sizes the page, and answers the product name.
pub(crate) async fn prepare(cdp: &CdpPipe, viewport: Viewport) -> Result<String, NotReady> {
    let version: Version = call(cdp, "Browser.getVersion", json!({})).await?;
    let pages = first_pages(cdp).await?;
    let contexts: Contexts = call(cdp, "Target.getBrowserContexts", json!({})).await?;
    match (pages.as_slice(), contexts.browser_context_ids.len()) {
        ([page], 0) => set_viewport_of(cdp, page, viewport).await?,
        (pages, contexts) => {
            return Err(NotReady::Unexpected {
                pages: pages.len(),
                contexts,
            });
        }
    }
    Ok(version.product)
}

/// Sets the size of the first page's content.
pub(crate) async fn set_viewport(cdp: &CdpPipe, viewport: Viewport) -> Result<(), CdpError> {
    match pages(cdp).await?.first() {
        Some(page) => set_viewport_of(cdp, page, viewport).await,
        None => Ok(()),
    }
}

/// The emulation domain would size the page for one client's session only, and the window not at all; this sizes
/// the window so that its content has the asked size, whatever bars it shows.
async fn set_viewport_of(cdp: &CdpPipe, page: &str, viewport: Viewport) -> Result<(), CdpError> {
    let window: Window = call(cdp, "Browser.getWindowForTarget", json!({ "targetId": page })).await?;
    let size = json!({ "windowId": window.window_id, "width": viewport.width, "height": viewport.height });
    cdp.call("Browser.setContentsSize", size).await?;
    wait_for_size(cdp, page, viewport).await
}

/// The answer to a resize comes before the page has heard of it, so the page itself is asked to tell.
async fn wait_for_size(cdp: &CdpPipe, page: &str, viewport: Viewport) -> Result<(), CdpError> {
    let Viewport { width, height } = viewport;
    let expression = format!(
        "new Promise(done => {{
            const check = () => {{
                if (innerWidth !== {width} || innerHeight !== {height}) return;
                removeEventListener('resize', check);
                done();
            }};
            addEventListener('resize', check);
            check();
        }})"
    );
    let attach = json!({ "targetId": page, "flatten": true });
    let attached: Attached = call(cdp, "Target.attachToTarget", attach).await?;
    let evaluate = json!({ "expression": expression, "awaitPromise": true });
    let sized = cdp
        .call_session(Some(&attached.session_id), "Runtime.evaluate", evaluate)
        .await;
    cdp.call(
        "Target.detachFromTarget",
        json!({ "sessionId": attached.session_id }),
    )
    .await?;
    sized.map(drop)
}

/// The pages, once there is one. New targets are announced only while discovery is on, and the page may have
/// come before: hence events first, then the question.
async fn first_pages(cdp: &CdpPipe) -> Result<Vec<String>, CdpError> {
    let mut events = cdp.events();
    cdp.call("Target.setDiscoverTargets", json!({ "discover": true }))
        .await?;
    loop {
        let pages = pages(cdp).await?;
        if !pages.is_empty() {
            cdp.call("Target.setDiscoverTargets", json!({ "discover": false }))
                .await?;
            return Ok(pages);
        }
        loop {
            match events.recv().await {
                Ok(event) if event.method == "Target.targetCreated" => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Err(CdpError::Closed),
            }
        }
    }
}

async fn pages(cdp: &CdpPipe) -> Result<Vec<String>, CdpError> {
    let targets: Targets = call(cdp, "Target.getTargets", json!({})).await?;
    let pages = targets
        .target_infos
        .into_iter()
        .filter(|target| target.r#type == "page");
    Ok(pages.map(|page| page.target_id).collect())
}

async fn call<T: serde::de::DeserializeOwned>(
    cdp: &CdpPipe,
    method: &str,
    params: serde_json::Value,
) -> Result<T, CdpError> {
    let answer = cdp.call(method, params).await?;
    serde_json::from_str(answer.get()).map_err(|source| CdpError::Json {
        method: method.to_owned(),
        source,
    })
}
