//! Workers that take no more sessions, as their own process or an operator wants it.

use super::simulated::{Network, Simulated};
use super::*;
use crate::agent::LaunchRefusal;

fn says_that_it_drains(control: &Simulated) -> bool {
    control.heartbeats().last().is_some_and(|last| last.draining)
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drains_says_so_at_once_and_is_done_when_nothing_is_left() {
    let control = Arc::<Simulated>::default();
    let (worker, _browsers) = control.worker(None).await;
    control.create(&worker, &request(1)).await;
    let started = Instant::now();
    assert!(futures_util::poll!(Box::pin(worker.drain())).is_pending());
    sleep(Duration::from_millis(1)).await;
    assert!(says_that_it_drains(&control));
    assert_eq!(worker.sessions(), 1);
    assert_eq!(
        worker.agent.launch(request(2)).await,
        Err(LaunchRefusal::Draining),
        "to wait no longer does not take the drain back"
    );
    worker.drain().await;
    assert_eq!((started.elapsed().as_secs(), worker.sessions()), (300, 0));
    worker.shutdown().await;
    assert_eq!(control.end_of(&request(1)), Some(EndReason::NeverConnected));
}

#[tokio::test(start_paused = true)]
async fn an_operators_drain_can_be_taken_back_and_the_process_own_cannot() {
    let control = Arc::<Simulated>::default();
    let (worker, _browsers) = control.worker(None).await;
    control.set_drain(true);
    sleep(Duration::from_secs(7)).await;
    assert!(says_that_it_drains(&control));
    assert_eq!(
        worker.agent.launch(request(1)).await,
        Err(LaunchRefusal::Draining)
    );

    // No answer is not another answer.
    control.set_network(Network::LosesCalls);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(
        worker.agent.launch(request(1)).await,
        Err(LaunchRefusal::Draining)
    );

    control.set_network(Network::Whole);
    control.set_drain(false);
    sleep(Duration::from_secs(12)).await;
    assert!(!says_that_it_drains(&control));
    control.create(&worker, &request(1)).await;

    assert!(futures_util::poll!(Box::pin(worker.drain())).is_pending());
    sleep(Duration::from_secs(12)).await;
    assert!(says_that_it_drains(&control));
    assert_eq!(
        worker.agent.launch(request(2)).await,
        Err(LaunchRefusal::Draining)
    );
    worker.shutdown().await;
}
