//! Pages that no interception sees on their way.

use super::{Site, WITHIN, go_and_wait, limited, until};
use crate::support::{Lab, Page, call};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;
use wharf_chrome::CdpEvent;

/// As soon as there is a document, and before anything else of it runs.
const SWITCH_ON: &str = "chrome.settingsPrivate.setPref('net.network_prediction_options', 0)";

#[tokio::test]
async fn a_client_that_opens_the_settings_ends_the_browser() {
    let (lab, site) = (Lab::new(), Site::start().await);
    for url in [
        "chrome://settings/none",
        "view-source:chrome://settings/none",
        "chrome://password-manager/",
    ] {
        let browser = limited(&lab).await;
        let page = Page::first(&browser).await;
        go_and_wait(&page, &site.good("")).await;
        let script = json!({ "source": SWITCH_ON });
        page.call("Page.addScriptToEvaluateOnNewDocument", script).await;
        // It may be gone before it answers.
        let _ = page.try_call("Page.navigate", json!({ "url": url })).await;
        timeout(WITHIN, browser.exited()).await.expect(url);
        assert_eq!(site.bad_asked(), [] as [&str; 0]);
        browser.close().await;
    }
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_page_that_a_forbidden_frame_has_made_is_closed() {
    let (lab, site) = (Lab::new(), Site::start().await);
    let browser = limited(&lab).await;
    let page = Page::first(&browser).await;
    go_and_wait(&page, &site.good("maker")).await;
    let targets = call(&browser, "Target.getTargets", json!({})).await;
    let targets = targets["targetInfos"].as_array().unwrap();
    let frame = targets.iter().find(|target| target["type"] == "iframe").unwrap();
    let frame = Page::attach(&browser, frame["targetId"].as_str().unwrap()).await;
    let mut events = browser.cdp().events();
    for (maker, stays) in [(&frame, false), (&page, true)] {
        let make = "void open(URL.createObjectURL(new Blob(['<title>made</title>'], { type: 'text/html' })))";
        maker.evaluate_by_user(make).await;
        let made = next(&mut events, |method, told| {
            let url = told["targetInfo"]["url"].as_str().unwrap_or_default();
            (method == "Target.targetInfoChanged" && url.starts_with("blob:"))
                .then(|| told["targetInfo"]["targetId"].clone())
        })
        .await;
        if stays {
            let made = Page::attach(&browser, made.as_str().unwrap()).await;
            until("its title", async || {
                made.evaluate("document.title").await == "made"
            })
            .await;
        } else {
            next(&mut events, |method, told| {
                (method == "Target.targetDestroyed" && told["targetId"] == made).then_some(())
            })
            .await;
        }
    }
    browser.close().await;
}

/// What is found in the first event that has it.
async fn next<T>(events: &mut Receiver<CdpEvent>, find: impl Fn(&str, &Value) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.recv().await.unwrap();
            let told = serde_json::from_str(event.params.get()).unwrap();
            if let Some(found) = find(&event.method, &told) {
                return found;
            }
        }
    };
    timeout(WITHIN, found).await.unwrap()
}
