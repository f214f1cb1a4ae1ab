//! Where pages may navigate to, held at the browser itself, whatever its clients do.
//!
//! The interception is the browser's own, not a page's: it stands behind every request for a document, of every page and
//! every context, whoever opened them and before anybody is attached, and nearer to the network than that of any client,
//! which works as before. What is not decided waits, so a guard that fails lets nothing pass; the browser ends with it.
//!
//! The browser's own pages and `blob:` pass by it. Those are seen only once they are there, among its targets.

mod arrived;
mod preloading;

use crate::cdp::{CdpError, CdpEvent, CdpPipe, CdpQueue};
use crate::process::Family;
use arrived::Arrivals;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Questions to the browser at once; what comes meanwhile waits.
const QUESTIONS_LIMIT: usize = 64;
/// A browser that closes its pipe ends by itself, in its own time.
const END_WITHIN: Duration = Duration::from_secs(5);
/// JSON-RPC: invalid parameters, which is what Chromium says of a target that it does not know.
const NO_SUCH_TARGET: i64 = -32602;

/// Whether a page may navigate to this URL. Called for each, so it must be quick.
pub type Verdict = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A request for a document, which waits for us.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    request_id: String,
    frame_id: Option<String>,
    request: Request,
}

#[derive(Debug, Deserialize)]
struct Request {
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    target_info: Target,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    target_id: String,
    r#type: String,
    url: String,
}

/// What [`keep`] decides.
pub(crate) struct Stopped {
    paused: CdpQueue,
    arrivals: Arrivals,
}

/// Begins to stop requests; [`keep`] must then decide them.
pub(crate) async fn stop(cdp: &CdpPipe) -> Result<Stopped, CdpError> {
    // Otherwise a page is no target until somebody attaches to it, and could not be told from a frame.
    cdp.call("Target.setDiscoverTargets", json!({ "discover": true }))
        .await?;
    preloading::switch_off(cdp).await?;
    let paused = cdp.queue("Fetch.requestPaused");
    let documents = json!({ "patterns": [{ "resourceType": "Document", "requestStage": "Request" }] });
    cdp.call("Fetch.enable", documents).await?;
    let arrivals = Arrivals::of(cdp);
    Ok(Stopped { paused, arrivals })
}

/// That the browser's end was ordered: how long it may take is then for whoever did so to say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ordered(Arc<AtomicBool>);

impl Ordered {
    /// To be told before the browser is.
    pub(crate) fn give(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_given(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Decides each request until the browser ends. If it cannot go on, the browser is ended.
pub(crate) async fn keep(
    cdp: Arc<CdpPipe>,
    stopped: Stopped,
    may_navigate: Verdict,
    family: Arc<Family>,
    ordered: Ordered,
) {
    // Whatever ends this, a defect of the verdict included.
    let mut end = EndBrowser(Some(family));
    let failure = tokio::select! {
        failure = arrived::keep(&cdp, stopped.arrivals, &may_navigate) => failure,
        failure = decide_all(&cdp, stopped.paused, &may_navigate) => failure,
    };
    if cdp.is_closed() && !ordered.is_given() {
        sleep(END_WITHIN).await;
    }
    if cdp.is_closed() && ordered.is_given() {
        end.0 = None;
        return;
    }
    tracing::error!("a browser is ended, for where it navigates to can no longer be decided: {failure}");
}

async fn decide_all(cdp: &Arc<CdpPipe>, mut paused: CdpQueue, may_navigate: &Verdict) -> Failure {
    let mut questions = JoinSet::new();
    loop {
        let decided = tokio::select! {
            Some(answered) = questions.join_next() => answered.unwrap_or(Err(CdpError::Closed)),
            event = paused.next(), if questions.len() < QUESTIONS_LIMIT => match event.as_ref().map(read) {
                Some(Ok(paused)) if may_navigate(&paused.request.url) => resume(cdp, &paused).await,
                Some(Ok(paused)) => {
                    questions.spawn(refuse_to_page(Arc::clone(cdp), paused));
                    Ok(())
                }
                Some(Err(error)) => Err(error),
                None => return Failure::Ended,
            },
        };
        if let Err(error) = decided {
            return Failure::Cdp(error);
        }
    }
}

/// Why nothing is decided any more.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it has closed its pipe, or more requests wait than are kept")]
    Ended,
    #[error("a client has opened {0}, where what keeps pages from being loaded in advance can be changed")]
    Settings(String),
    #[error(transparent)]
    Cdp(CdpError),
}

fn read(event: &CdpEvent) -> Result<Paused, CdpError> {
    serde_json::from_str(event.params.get()).map_err(|source| CdpError::Json {
        method: event.method.clone(),
        source,
    })
}

/// Frames and what belongs to them may load what they like.
async fn refuse_to_page(cdp: Arc<CdpPipe>, paused: Paused) -> Result<(), CdpError> {
    match is_below_a_page(&cdp, paused.frame_id.as_deref()).await? {
        true => resume(&cdp, &paused).await,
        false => {
            let refusal = json!({ "requestId": paused.request_id, "errorReason": "BlockedByClient" });
            cdp.tell("Fetch.failRequest", refusal).await
        }
    }
}

/// A page's own frame has the id of its target. A frame of another site is a target too, of another type; one of the same
/// process is none. What is unclear counts as a page.
async fn is_below_a_page(cdp: &CdpPipe, frame: Option<&str>) -> Result<bool, CdpError> {
    let Some(frame) = frame else {
        return Ok(false);
    };
    let answer = cdp
        .call("Target.getTargetInfo", json!({ "targetId": frame }))
        .await;
    match answer {
        Ok(answer) => {
            let known: Result<Known, _> = serde_json::from_str(answer.get());
            Ok(known.is_ok_and(|known| known.target_info.r#type == "iframe"))
        }
        Err(CdpError::Refused { code, .. }) => Ok(code == NO_SUCH_TARGET),
        Err(CdpError::Timeout { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Nobody waits for the answer: a refusal means that the request has gone.
async fn resume(cdp: &CdpPipe, paused: &Paused) -> Result<(), CdpError> {
    cdp.tell("Fetch.continueRequest", json!({ "requestId": paused.request_id }))
        .await
}

/// Ends the browser when dropped, if there is one.
struct EndBrowser(Option<Arc<Family>>);

impl Drop for EndBrowser {
    fn drop(&mut self) {
        if let Some(family) = &self.0 {
            family.kill();
        }
    }
}
