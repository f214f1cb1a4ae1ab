//! Limits of memory, processes and files, without control groups: this machine need not have any.

use crate::support::{Lab, Page, call, options, own_children};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;
use wharf_chrome::{Browser, BrowserExit, Limits, MemoryLimit};

const MEBIBYTE: u64 = 1 << 20;
/// The guard needs a second at most, the machine its time.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

fn memory(mebibytes: u64) -> Limits {
    Limits {
        memory: Some(MemoryLimit::of_bytes(mebibytes * MEBIBYTE).unwrap()),
        ..Limits::default()
    }
}

/// Begins to evaluate something that may not answer.
async fn begin(page: &Page<'_>, expression: &str) {
    page.evaluate(&format!("setTimeout(() => {{ {expression} }}); 0"))
        .await;
}

async fn end_of(browser: &Browser) -> BrowserExit {
    timeout(ENDED_WITHIN, browser.exited()).await.expect("it goes on")
}

/// Filled, because untouched pages are not there.
const HOARD: &str = "globalThis.kept = []; const more = () => { kept.push(new Uint8Array(16 << 20).fill(1)); setTimeout(more); }; more()";

#[tokio::test]
async fn a_page_that_takes_memory_without_end_ends_its_browser_and_no_other() {
    let lab = Lab::limited(memory(600));
    let (hoarder, neighbour) = tokio::join!(
        lab.launcher.launch(options("session-1")),
        lab.launcher.launch(options("session-2"))
    );
    let (hoarder, neighbour) = (hoarder.unwrap(), neighbour.unwrap());
    let page = Page::first(&hoarder).await;
    begin(&page, HOARD).await;
    assert_eq!(end_of(&hoarder).await, BrowserExit::OutOfMemory);
    let report = hoarder.close().await;
    assert!(
        report.complete && report.exit == Some(BrowserExit::OutOfMemory),
        "{report:?}"
    );

    let page = Page::first(&neighbour).await;
    assert_eq!(page.evaluate("6 * 7").await, json!(42));
    neighbour.close().await;
    assert_eq!(own_children(), [] as [i32; 0]);
    lab.assert_nothing_left();
}

#[tokio::test]
async fn many_tabs_count_together() {
    let lab = Lab::limited(memory(700));
    let browser = lab.launch().await;
    for _ in 0..8 {
        let created = browser
            .cdp()
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        // It may be gone by now.
        let Ok(created) = created else { break };
        let created: serde_json::Value = serde_json::from_str(created.get()).unwrap();
        let attach = json!({ "targetId": created["targetId"], "flatten": true });
        let Ok(attached) = browser.cdp().call("Target.attachToTarget", attach).await else {
            break;
        };
        let attached: serde_json::Value = serde_json::from_str(attached.get()).unwrap();
        let fill = json!({ "expression": "globalThis.kept = new Uint8Array(120 << 20).fill(1); 0" });
        let session = attached["sessionId"].as_str();
        if browser
            .cdp()
            .call_session(session, "Runtime.evaluate", fill)
            .await
            .is_err()
        {
            break;
        }
    }
    assert_eq!(end_of(&browser).await, BrowserExit::OutOfMemory);
    browser.close().await;
    lab.assert_nothing_left();
}

#[tokio::test]
async fn without_a_jail_memory_is_limited_all_the_same() {
    let lab = Lab::limited_without_jail(memory(600));
    let browser = lab.launch().await;
    let page = Page::first(&browser).await;
    begin(&page, HOARD).await;
    assert_eq!(end_of(&browser).await, BrowserExit::OutOfMemory);
    browser.close().await;
    lab.assert_nothing_left();
}

#[tokio::test]
async fn what_a_browser_may_have_it_can_use() {
    let lab = Lab::limited(memory(900));
    let browser = lab.launch().await;
    let page = Page::first(&browser).await;
    let kept = page
        .evaluate("globalThis.kept = new Uint8Array(400 << 20).fill(1); kept.length")
        .await;
    assert_eq!(kept, json!(400 << 20));
    // Longer than the guard ever looks away.
    let ended = timeout(Duration::from_secs(2), browser.exited()).await;
    assert!(ended.is_err(), "{ended:?}");
    browser.close().await;
}

/// A tab that reaches the limit of its engine is the tab's trouble.
#[tokio::test]
async fn a_tab_that_crashes_ends_nothing_but_itself() {
    let lab = Lab::limited(memory(2_048));
    let browser = lab.launch().await;
    let created = call(&browser, "Target.createTarget", json!({ "url": "about:blank" })).await;
    let doomed = Page::attach(&browser, created["targetId"].as_str().unwrap()).await;
    begin(&doomed, "location.href = 'chrome://crash'").await;
    let page = Page::first(&browser).await;
    assert_eq!(page.evaluate("6 * 7").await, json!(42));
    let ended = timeout(Duration::from_secs(1), browser.exited()).await;
    assert!(ended.is_err(), "{ended:?}");
    browser.close().await;
}
