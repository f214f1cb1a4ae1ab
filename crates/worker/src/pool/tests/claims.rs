//! Who gets which browser.

use std::sync::atomic::Ordering::SeqCst;

use tokio::time::Instant;
use wharf_domain::{Bytes, Millis, Viewport};
use wharf_protocol::BrowserOptions;

use super::*;
use crate::agent::testing::Staged;
use crate::browser::testing::FakeBrowsers;
use crate::browser::{Reading, session_number};
use crate::rules::SessionRules;

/// Full pools: browsers "warm-1" up to this size.
async fn full(size: u32) -> (FakeSpares, WarmPool<FakeSpares>) {
    let spares = FakeSpares::new();
    let pool = spares.pool(size);
    spares.started(size as usize).await;
    spares.hold(true);
    (spares, pool)
}

fn with(browser: BrowserOptions) -> LaunchRequest {
    LaunchRequest {
        browser,
        ..request(1)
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_goes_first_and_nobody_waits() {
    let (_, pool) = full(3).await;
    let asked = Instant::now();
    for expected in ["warm-1", "warm-2", "warm-3"] {
        assert_eq!(claim(&pool).await.version(), expected);
    }
    assert_eq!(asked.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_a_browser_that_somebody_has() {
    let (spares, pool) = full(4).await;
    spares.hold(false);
    let claims = (0..20).map(|_| pool.launch(&request(1), WITHIN));
    let claimed = futures_util::future::join_all(claims).await;
    let mut names: Vec<String> = claimed
        .into_iter()
        .map(|browser| browser.unwrap().version())
        .collect();
    names.sort();
    names.retain(|name| name != "cold");
    assert_eq!(names, ["warm-1", "warm-2", "warm-3", "warm-4"]);
}

#[tokio::test(start_paused = true)]
async fn a_claimed_browser_is_made_what_was_asked_for() {
    let (spares, pool) = full(2).await;
    let viewport = Some(Viewport::new(800, 600).unwrap());
    let asked = with(BrowserOptions {
        viewport,
        ..BrowserOptions::default()
    });
    assert_eq!(pool.launch(&asked, WITHIN).await.unwrap().version(), "warm-1");
    assert_eq!(
        *spares.browser(0).wishes.lock().unwrap(),
        Some(Wishes {
            viewport,
            session_number: session_number(asked.session),
            ..Wishes::default()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn options_that_need_flags_and_an_empty_pool_start_cold() {
    let (spares, pool) = full(1).await;
    spares.hold(false);
    let flags = with(BrowserOptions {
        ignore_certificate_errors: true,
        ..BrowserOptions::default()
    });
    assert_eq!(pool.launch(&flags, WITHIN).await.unwrap().version(), "cold");
    assert_eq!(claim(&pool).await.version(), "warm-1");
    assert_eq!(claim(&pool).await.version(), "cold");
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_has_died_this_instant_is_not_handed_out() {
    let (spares, pool) = full(2).await;
    // Before anybody has run who could have noticed.
    spares.browser(0).die();
    assert_eq!(claim(&pool).await.version(), "warm-2");
    spares.browser(0).closed().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_costs_a_second_and_is_taken_away() {
    let (spares, pool) = full(3).await;
    spares.browser(0).answer(FakeFit::Never);
    spares
        .browser(1)
        .answer(FakeFit::Not(Unfit::Broken("the page has crashed".to_owned())));
    let asked = Instant::now();
    assert_eq!(claim(&pool).await.version(), "warm-3");
    assert_eq!(asked.elapsed().as_secs(), 1);
    spares.browser(0).closed().await;
    spares.browser(1).closed().await;
    assert_eq!(spares.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_hang_the_session_starts_cold_within_its_own_time() {
    let (spares, machine) = (FakeSpares::new(), FakeMachine::default());
    let pool = spares.pool_on(machine.clone(), 2);
    spares.started(2).await;
    // No new one comes meanwhile.
    machine.busy(1.0);
    spares.browser(0).answer(FakeFit::Never);
    spares.browser(1).answer(FakeFit::Never);
    let asked = Instant::now();
    let browser = pool
        .launch(&request(1), Duration::from_millis(1_500))
        .await
        .unwrap();
    assert_eq!(
        (browser.version().as_str(), asked.elapsed().as_millis()),
        ("cold", 1_500)
    );
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_all_would_refuse_costs_one_browser_and_not_the_pool() {
    let (spares, pool) = full(3).await;
    spares
        .browser(0)
        .answer(FakeFit::Not(Unfit::Refused("no such method".to_owned())));
    spares.hold(false);
    assert_eq!(claim(&pool).await.version(), "cold");
    assert_eq!(claim(&pool).await.version(), "warm-2");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_it_is_handed_a_browser_leaves_none() {
    let (spares, pool) = full(1).await;
    spares.browser(0).answer(FakeFit::Never);
    let dropped = tokio::time::timeout(Duration::from_millis(10), claim(&pool)).await;
    assert!(dropped.is_err());
    spares.browser(0).closed().await;
    assert_eq!(spares.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_browser_used_before_its_session_is_not_the_sessions() {
    let (spares, pool) = full(1).await;
    spares.browser(0).cpu.store(700, SeqCst);
    let meter = claim(&pool).await.meter();
    let memory = Bytes(100);
    assert_eq!(
        meter.read(),
        Some(Reading {
            cpu: Millis(0),
            memory,
        })
    );
    spares.browser(0).cpu.store(950, SeqCst);
    assert_eq!(
        meter.read(),
        Some(Reading {
            cpu: Millis(250),
            memory,
        })
    );
    assert_eq!(meter.cpu(), Some(Millis(250)));
}

#[tokio::test(start_paused = true)]
async fn a_resting_browser_takes_no_slot_and_its_session_one() {
    let browsers = FakeBrowsers::new();
    let entropy = Arc::new(wharf_domain::SeededEntropy::new(1));
    let pool = WarmPool::start(
        browsers.clone(),
        WarmOptions::of(2),
        Box::new(FakeMachine::default()),
        entropy,
    );
    browsers.wait_for_alive(2).await;
    let staged = Staged::with(Box::new(pool), browsers.clone(), 1, SessionRules::default());
    assert_eq!(staged.agent.slots.available_permits(), 1);
    browsers.use_up(500, 1);
    staged.agent.launch(request(1)).await.unwrap();
    assert_eq!(staged.agent.slots.available_permits(), 0);
    assert_eq!(browsers.launched(), 2, "none was started for it");
    // By then it was measured, and once since.
    tokio::time::sleep(Duration::from_secs(1)).await;
    browsers.use_up(800, 1);
    staged.release(&request(1));
    staged.end_of(&request(1)).await;
    assert_eq!(staged.observed(&request(1)).usage.cpu, Millis(300));
    assert_eq!(staged.agent.slots.available_permits(), 1);
}
