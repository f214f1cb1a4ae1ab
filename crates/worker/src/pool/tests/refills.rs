//! How the pool fills, and how it ends.

use tokio::time::{Instant, sleep};
use wharf_domain::Bytes;

use super::*;

async fn settle(time: Duration) {
    sleep(time).await;
}

fn gaps(tried: &[Instant]) -> Vec<Duration> {
    tried.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn it_fills_one_at_a_time_to_its_size() {
    let spares = FakeSpares::new();
    spares.hold(true);
    let pool = spares.pool(3);
    settle(Duration::from_secs(5)).await;
    assert_eq!(spares.tried().len(), 1, "one start at a time");
    spares.hold(false);
    settle(Duration::from_secs(60)).await;
    assert_eq!((spares.tried().len(), spares.alive()), (3, 3));
    drop(pool);
}

#[tokio::test(start_paused = true)]
async fn without_a_size_nothing_is_started() {
    let spares = FakeSpares::new();
    let pool = spares.pool(0);
    settle(Duration::from_secs(60)).await;
    assert_eq!(spares.tried().len(), 0);
    assert_eq!(claim(&pool).await.version(), "cold");
    pool.retire().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_claim_it_is_quiet_before_another_is_started() {
    let spares = FakeSpares::new();
    let pool = spares.pool(2);
    spares.started(2).await;
    settle(Duration::from_secs(5)).await;
    claim(&pool).await;
    settle(Duration::from_millis(300)).await;
    let last = Instant::now();
    claim(&pool).await;
    spares.started(3).await;
    assert_eq!((spares.tried()[2] - last).as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_busy_machine_puts_it_off_and_calm_lets_it_go_on() {
    let (spares, machine) = (FakeSpares::new(), FakeMachine::default());
    machine.busy(0.9);
    let begun = Instant::now();
    let _pool = spares.pool_on(machine.clone(), 1);
    settle(Duration::from_secs(3)).await;
    assert_eq!(spares.tried().len(), 0);
    machine.busy(0.1);
    spares.started(1).await;
    assert!(
        begun.elapsed() < Duration::from_millis(3_600),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_always_busy_fills_it_all_the_same() {
    let (spares, machine) = (FakeSpares::new(), FakeMachine::default());
    machine.busy(1.0);
    let begun = Instant::now();
    let _pool = spares.pool_on(machine, 1);
    spares.started(1).await;
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn claims_without_end_do_not_keep_it_empty() {
    let spares = FakeSpares::new();
    let pool = spares.pool(1);
    let begun = Instant::now();
    while spares.tried().is_empty() {
        claim(&pool).await;
        settle(Duration::from_millis(100)).await;
    }
    assert!(
        (10..=11).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn no_browser_is_started_into_the_last_memory() {
    let (spares, machine) = (FakeSpares::new(), FakeMachine::default());
    machine.leave_free(Bytes(100 << 20));
    let _pool = spares.pool_on(machine.clone(), 1);
    settle(Duration::from_secs(120)).await;
    assert_eq!(spares.tried().len(), 0);
    machine.leave_free(Bytes(2 << 30));
    spares.started(1).await;
}

#[tokio::test(start_paused = true)]
async fn starts_that_fail_are_tried_less_and_less_and_sessions_go_on() {
    let spares = FakeSpares::new();
    spares.break_with(Some("no such file"));
    let pool = spares.pool(1);
    settle(Duration::from_secs(600)).await;
    let gaps = gaps(&spares.tried());
    for (gap, expected) in gaps.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]) {
        let gap = gap.as_secs_f64() / expected;
        // A fifth of jitter, and the look at the machine.
        assert!((0.8..1.5).contains(&gap), "{gaps:?}");
    }
    assert!((12..=20).contains(&spares.tried().len()), "{gaps:?}");
    spares.break_with(None);
    assert_eq!(claim(&pool).await.version(), "cold");
    spares.started(2).await;
    assert_eq!(claim(&pool).await.version().get(..5), Some("warm-"));
}

#[tokio::test(start_paused = true)]
async fn one_that_dies_while_it_rests_is_replaced() {
    let spares = FakeSpares::new();
    let pool = spares.pool(2);
    spares.started(2).await;
    spares.browser(0).die();
    spares.browser(0).closed().await;
    spares.started(3).await;
    assert_eq!(spares.alive(), 2);
    assert_eq!(claim(&pool).await.version(), "warm-2");
    assert_eq!(claim(&pool).await.version(), "warm-3");
}

#[tokio::test(start_paused = true)]
async fn browsers_that_die_as_soon_as_they_rest_are_not_started_in_a_loop() {
    let spares = FakeSpares::new();
    let _pool = spares.pool(1);
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(300) {
        count += 1;
        spares.started(count).await;
        spares.browser(count - 1).die();
    }
    assert!((5..=15).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn one_that_has_rested_for_an_hour_is_replaced() {
    let spares = FakeSpares::new();
    let _pool = spares.pool(1);
    spares.started(1).await;
    settle(Duration::from_secs(3_590)).await;
    assert_eq!(spares.tried().len(), 1);
    settle(Duration::from_secs(20)).await;
    spares.browser(0).closed().await;
    assert_eq!((spares.tried().len(), spares.alive()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_claimed_browser_does_not_age() {
    let spares = FakeSpares::new();
    let pool = spares.pool(1);
    spares.started(1).await;
    let browser = claim(&pool).await;
    pool.retire().await;
    settle(Duration::from_secs(7_200)).await;
    assert_eq!((browser.version().as_str(), spares.alive()), ("warm-1", 1));
}

#[tokio::test(start_paused = true)]
async fn retiring_takes_everything_away_and_starts_nothing() {
    let spares = FakeSpares::new();
    let pool = spares.pool(3);
    spares.started(2).await;
    spares.hold(true);
    settle(Duration::from_secs(5)).await;
    assert_eq!(spares.tried().len(), 3, "one is being started");
    pool.retire().await;
    assert_eq!(spares.alive(), 0);
    spares.hold(false);
    settle(Duration::from_secs(60)).await;
    assert_eq!(
        (spares.tried().len(), spares.alive(), spares.cold_starts()),
        (3, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_dropped_takes_its_browsers_away() {
    let spares = FakeSpares::new();
    let pool = spares.pool(1);
    spares.started(1).await;
    drop(pool);
    spares.browser(0).closed().await;
}
