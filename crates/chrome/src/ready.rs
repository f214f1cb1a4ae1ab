//! Bringing a started browser to the state a client may expect: one context, one page, the right size.

use crate::cdp::{CdpError, CdpPipe};
use crate::flags::{self, Viewport};
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Screens {
    screen_infos: Vec<Screen>,
}

#[derive(Deserialize)]
struct Screen {
    id: String,
}

#[derive(Deserialize)]
struct Evaluated {
    result: Value,
}

#[derive(Deserialize)]
struct Value {
    value: [u32; 4],
}

/// A browser in the state that a client may expect.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) product: String,
    /// The target's id.
    pub(crate) page: String,
}

/// Waits for the browser and its first page, and sizes the page.
pub(crate) async fn prepare(cdp: &CdpPipe, viewport: Viewport) -> Result<Prepared, NotReady> {
    let version: Version = call(cdp, "Browser.getVersion", json!({})).await?;
    let mut pages = first_pages(cdp).await?;
    let contexts: Contexts = call(cdp, "Target.getBrowserContexts", json!({})).await?;
    let contexts = contexts.browser_context_ids.len();
    let count = pages.len();
    match (pages.pop(), count, contexts) {
        (Some(page), 1, 0) => {
            resize(cdp, &page, viewport).await?;
            let session = attach(cdp, &page).await?;
            wait_for_size(cdp, &session, viewport).await?;
            let detach = json!({ "sessionId": session });
            cdp.call("Target.detachFromTarget", detach).await.map(drop)?;
            let product = version.product;
            Ok(Prepared { product, page })
        }
        (_, pages, contexts) => Err(NotReady::Unexpected { pages, contexts }),
    }
}

/// Gives a page another size, and its screen the size that a launch with this size would have given it. The page
/// itself tells when it is so: an answer means that browser and page live. `session` is attached to the page, and no
/// longer is afterwards: nobody waits for that, but whatever is asked later finds it done.
pub(crate) async fn set_viewport(
    cdp: &CdpPipe,
    page: &str,
    session: String,
    viewport: Viewport,
) -> Result<(), CdpError> {
    let done = fit(cdp, page, &session, viewport).await;
    let detach = json!({ "sessionId": session });
    cdp.tell("Target.detachFromTarget", detach).await?;
    done
}

async fn fit(cdp: &CdpPipe, page: &str, session: &str, viewport: Viewport) -> Result<(), CdpError> {
    let Viewport { width, height } = viewport;
    let screen = flags::screen_for(viewport);
    let [now_wide, now_high, screen_width, screen_height] = sizes(cdp, session).await?;
    if (screen_width, screen_height) != (screen.width, screen.height) {
        set_screen(cdp, session, screen).await?;
    } else if (now_wide, now_high) == (width, height) {
        return Ok(());
    }
    resize(cdp, page, viewport).await?;
    wait_for_size(cdp, session, viewport).await
}

/// Attaches to a page.
pub(crate) async fn attach(cdp: &CdpPipe, page: &str) -> Result<String, CdpError> {
    let attach = json!({ "targetId": page, "flatten": true });
    let attached: Attached = call(cdp, "Target.attachToTarget", attach).await?;
    Ok(attached.session_id)
}

/// The emulation domain would size the page for one client's session only, and the window not at all; this sizes
/// the window so that its content has the asked size, whatever bars it shows.
async fn resize(cdp: &CdpPipe, page: &str, viewport: Viewport) -> Result<(), CdpError> {
    let window: Window = call(cdp, "Browser.getWindowForTarget", json!({ "targetId": page })).await?;
    let size = json!({ "windowId": window.window_id, "width": viewport.width, "height": viewport.height });
    cdp.call("Browser.setContentsSize", size).await.map(drop)
}

async fn set_screen(cdp: &CdpPipe, session: &str, size: Viewport) -> Result<(), CdpError> {
    let method = "Emulation.getScreenInfos";
    let screens: Screens = call_session(cdp, Some(session), method, json!({})).await?;
    // One that starts has one screen.
    if let Some(screen) = screens.screen_infos.first() {
        let update = json!({ "screenId": screen.id, "width": size.width, "height": size.height });
        cdp.call_session(Some(session), "Emulation.updateScreen", update)
            .await?;
    }
    Ok(())
}

/// The page's inner size and its screen's.
async fn sizes(cdp: &CdpPipe, session: &str) -> Result<[u32; 4], CdpError> {
    let evaluate = json!({
        "expression": "[innerWidth, innerHeight, screen.width, screen.height]",
        "returnByValue": true,
    });
    let evaluated: Evaluated = call_session(cdp, Some(session), "Runtime.evaluate", evaluate).await?;
    Ok(evaluated.result.value)
}

/// The answer to a resize comes before the page has heard of it, so the page itself is asked to tell. The event comes
/// with the next frame only, the size itself up to 16 ms before it.
async fn wait_for_size(cdp: &CdpPipe, session: &str, viewport: Viewport) -> Result<(), CdpError> {
    let Viewport { width, height } = viewport;
    let expression = format!(
        "new Promise(done => {{
            const check = () => innerWidth === {width} && innerHeight === {height} ? done() : setTimeout(check, 1);
            check();
        }})"
    );
    let evaluate = json!({ "expression": expression, "awaitPromise": true });
    cdp.call_session(Some(session), "Runtime.evaluate", evaluate)
        .await
        .map(drop)
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

pub(crate) async fn call<T: serde::de::DeserializeOwned>(
    cdp: &CdpPipe,
    method: &str,
    params: serde_json::Value,
) -> Result<T, CdpError> {
    call_session(cdp, None, method, params).await
}

pub(crate) async fn call_session<T: serde::de::DeserializeOwned>(
    cdp: &CdpPipe,
    session: Option<&str>,
    method: &str,
    params: serde_json::Value,
) -> Result<T, CdpError> {
    let answer = cdp.call_session(session, method, params).await?;
    serde_json::from_str(answer.get()).map_err(|source| CdpError::Json {
        method: method.to_owned(),
        source,
    })
}
