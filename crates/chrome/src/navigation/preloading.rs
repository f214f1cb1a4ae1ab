//! Pages that Chromium fetches before anybody navigates to them.
//!
//! A page asks for it by speculation rules. Such a request passes by every interception, and so does the navigation that is
//! then answered from it. No flag switches this off, and nothing of DevTools: only the setting "preload pages" does, and
//! that is changed where a user would.

use crate::cdp::{CdpError, CdpPipe};
use crate::ready;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// Any path below it may change settings. One that does not exist has nothing to load.
const SETTINGS: &str = "chrome://settings/none";
/// The page has its functions some 150 ms after it was opened.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// On a machine that is overloaded many times over.
const LOOKS: u32 = 500;

/// Answers with the setting as it then is; with nothing before the page is there. 2 is "never".
const SET: &str = "(async () => {
    const settings = globalThis.chrome?.settingsPrivate;
    if (!settings) return null;
    const name = 'net.network_prediction_options';
    await settings.setPref(name, 2);
    return (await settings.getPref(name)).value;
})()";
const NEVER: u32 = 2;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    target_id: String,
}

#[derive(Deserialize)]
struct Evaluated {
    result: Value,
}

#[derive(Deserialize)]
struct Value {
    value: Option<u32>,
}

/// Switches it off for the whole browser, contexts that are still to come included.
pub(super) async fn switch_off(cdp: &CdpPipe) -> Result<(), CdpError> {
    let create = json!({ "url": SETTINGS, "background": true });
    let created: Created = ready::call(cdp, "Target.createTarget", create).await?;
    let switched = switch_off_in(cdp, &created.target_id).await;
    close(cdp, &created.target_id).await?;
    switched
}

/// The answer comes before the page has gone, and a client would find it.
async fn close(cdp: &CdpPipe, page: &str) -> Result<(), CdpError> {
    let target = json!({ "targetId": page });
    cdp.call("Target.closeTarget", target.clone()).await?;
    for _ in 0..LOOKS {
        match cdp.call("Target.getTargetInfo", target.clone()).await {
            Ok(_) => sleep(LOOK_EVERY).await,
            Err(CdpError::Refused { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(CdpError::Refused {
        method: "Target.closeTarget".to_owned(),
        code: 0,
        message: "the settings page does not close".to_owned(),
    })
}

async fn switch_off_in(cdp: &CdpPipe, page: &str) -> Result<(), CdpError> {
    let session = ready::attach(cdp, page).await?;
    let method = "Runtime.evaluate";
    let evaluate = json!({ "expression": SET, "awaitPromise": true, "returnByValue": true });
    let mut message = "its settings page has no settings".to_owned();
    for _ in 0..LOOKS {
        // It is refused while the page changes from the empty one to this.
        match ready::call_session::<Evaluated>(cdp, Some(&session), method, evaluate.clone()).await {
            Ok(evaluated) if evaluated.result.value == Some(NEVER) => return Ok(()),
            Ok(_) => {}
            Err(CdpError::Refused { message: words, .. }) => message = words,
            Err(error) => return Err(error),
        }
        sleep(LOOK_EVERY).await;
    }
    Err(CdpError::Refused {
        method: method.to_owned(),
        code: 0,
        message: format!("preloading cannot be switched off: {message}"),
    })
}
