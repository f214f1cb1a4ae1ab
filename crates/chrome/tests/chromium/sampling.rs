//! The use of a real browser, measured.
use crate::support::{Lab, Page, call, processes_of};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn counts_every_process_and_their_memory() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    let sample = browser.sampler().sample().unwrap();
    let seen = u32::try_from(processes_of(lab.folder.path()).len()).unwrap();
    // Chromium starts and ends helpers meanwhile.
    assert!(
        sample.processes.abs_diff(seen) <= 1,
        "{} of {seen}",
        sample.processes
    );
    assert!(
        (100 << 20..800 << 20).contains(&sample.memory),
        "{}",
        sample.memory
    );
    assert!(sample.cpu > Duration::from_millis(50), "{:?}", sample.cpu);
    browser.close().await;
}

#[tokio::test]
async fn work_in_a_page_shows_and_is_not_forgotten_when_its_process_ends() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    let sampler = browser.sampler();
    let before = sampler.sample().unwrap();
    // Another site, so another process.
    let created = call(
        &browser,
        "Target.createTarget",
        json!({ "url": "data:text/html,busy" }),
    )
    .await;
    let target = created["targetId"].as_str().unwrap();
    let page = Page::attach(&browser, target).await;
    page.evaluate("{ const end = performance.now() + 500; while (performance.now() < end); }")
        .await;
    let busy = sampler.sample().unwrap();
    assert!(
        busy.cpu - before.cpu > Duration::from_millis(200),
        "{before:?} {busy:?}"
    );

    let mut events = browser.cdp().events();
    call(&browser, "Target.setDiscoverTargets", json!({ "discover": true })).await;
    call(&browser, "Target.closeTarget", json!({ "targetId": target })).await;
    while events.recv().await.unwrap().method != "Target.targetDestroyed" {}
    assert!(sampler.sample().unwrap().cpu >= busy.cpu);
    assert!(
        browser.sampler().sample().unwrap().cpu >= busy.cpu,
        "a second handle starts anew"
    );
    let cpu = sampler.cpu().unwrap();
    assert!(cpu >= busy.cpu && sampler.sample().unwrap().cpu >= cpu, "{cpu:?}");
    browser.close().await;
    assert_eq!((sampler.sample(), sampler.cpu()), (None, None));
}

#[tokio::test]
async fn memory_a_page_takes_shows_at_the_next_sample() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    let sampler = browser.sampler();
    let before = sampler.sample().unwrap();
    let page = Page::first(&browser).await;
    // Filled, because untouched pages are not there. And far more than a neighbour's browser, started meanwhile, takes
    // over of the pages that both share: up to 100 MB between the first browser of a machine and the next.
    page.evaluate("globalThis.kept = new Uint8Array(256 << 20).fill(1); 0")
        .await;
    let after = sampler.sample().unwrap();
    assert!(
        after.memory >= before.memory + (128 << 20),
        "{before:?} {after:?}"
    );
    browser.close().await;
}
