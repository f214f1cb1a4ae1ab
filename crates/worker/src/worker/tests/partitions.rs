//! What a worker does while it is cut off, and when it is not any more.

use super::simulated::{Network, Simulated};
use super::*;
use crate::registry::Found;

/// The longest from the network's return to the next call: one that is lost already, and a jittered pause.
const CONTACT: Duration = Duration::from_secs(5 + 6);

fn kept_alive(number: u64) -> LaunchRequest {
    LaunchRequest {
        keep_alive: true,
        connect_within: None,
        timeout: Millis(3_600_000),
        ..request(number)
    }
}

/// Cuts the network for so long. Says whether the session that nothing happened to was kept, by its control plane and by
/// its worker, which must agree.
async fn kept_over_a_cut(cut: Duration, network: Network) -> bool {
    let control = Arc::<Simulated>::default();
    let (worker, browsers) = control.worker(None).await;
    let [undisturbed, timed, left, released] = [1, 2, 3, 4].map(kept_alive);
    let timed = LaunchRequest {
        timeout: Millis::from(cut / 2 + Duration::from_secs(7)),
        ..timed
    };
    let left = LaunchRequest {
        keep_alive: false,
        ..left
    };
    for request in [&undisturbed, &timed, &left, &released] {
        control.create(&worker, request).await;
    }
    let observed = |request: &LaunchRequest| {
        let mut all = worker.agent.registry.observe().into_iter();
        all.find(|session| session.session == request.session)
    };
    let Found::Session(session) = worker.agent.registry.find(left.session, left.generation) else {
        panic!("it runs")
    };
    let client = session.join().unwrap();
    sleep(Duration::from_secs(7)).await;

    control.set_network(network);
    sleep(cut / 2).await;
    drop(client);
    control.release(&released);
    sleep(cut / 2).await;
    let status = |request| observed(request).map(|session| session.status);
    let ended = |reason| Some(ObservedStatus::Ended(reason));
    assert_eq!(status(&undisturbed), Some(ObservedStatus::Running));
    assert_eq!(status(&released), Some(ObservedStatus::Running));
    assert_eq!(status(&left), ended(EndReason::Disconnected));
    assert_eq!(status(&timed), ended(EndReason::Timeout));
    let ran = observed(&timed).map(|session| session.usage.running.0 / 10);
    assert_eq!(ran, Some(timed.timeout.0 / 10), "to the moment");

    control.set_network(Network::Whole);
    sleep(CONTACT + Duration::from_millis(1)).await;
    let kept = control.end_of(&undisturbed).is_none();
    assert_eq!(observed(&undisturbed).is_some(), kept, "both sides agree");
    assert_eq!(browsers.alive(), u32::from(kept));
    for request in [&timed, &left, &released] {
        assert_eq!(observed(request), None, "reported and forgotten");
    }
    assert_eq!(control.end_of(&released), Some(EndReason::Released));
    if kept {
        assert_eq!(control.end_of(&timed), Some(EndReason::Timeout));
        assert_eq!(control.end_of(&left), Some(EndReason::Disconnected));
    }
    worker.shutdown().await;
    kept
}

#[tokio::test(start_paused = true)]
async fn sessions_outlive_a_cut_that_their_control_plane_forgives_and_no_other() {
    // In between, it depends on when the last heartbeat before the cut was.
    for (seconds, expected) in [
        (5, Some(true)),
        (19, Some(true)),
        (21, Some(true)),
        (59, None),
        (61, Some(false)),
        (300, Some(false)),
    ] {
        let kept = kept_over_a_cut(Duration::from_secs(seconds), Network::LosesCalls).await;
        assert!(
            expected.is_none_or(|expected| expected == kept),
            "{seconds} s: {kept}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_that_loses_answers_loses_no_session() {
    for seconds in [5, 19, 21, 59, 61, 300] {
        let kept = kept_over_a_cut(Duration::from_secs(seconds), Network::LosesAnswers).await;
        assert!(kept, "{seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_to_kill_is_obeyed_and_reported_within_one_beat() {
    let control = Arc::<Simulated>::default();
    let (worker, browsers) = control.worker(None).await;
    control.create(&worker, &kept_alive(1)).await;
    control.release(&kept_alive(1));
    sleep(Duration::from_millis(6_001)).await;
    assert_eq!(browsers.alive(), 0);
    assert_eq!(
        worker.agent.registry.observe(),
        [],
        "killed, reported at once, and forgotten"
    );
    worker.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_flapping_network_ends_nothing_and_reports_everything() {
    let control = Arc::<Simulated>::default();
    let (worker, browsers) = control.worker(None).await;
    let lasting = kept_alive(1);
    control.create(&worker, &lasting).await;
    let states = [Network::LosesCalls, Network::LosesAnswers, Network::Whole];
    let mut created = 0;
    for (number, network) in (2..40).zip(states.into_iter().cycle()) {
        let short = LaunchRequest {
            timeout: Millis(1_000 * number),
            ..kept_alive(number)
        };
        control.set_network(network);
        if worker.sessions() < 8 {
            control.create(&worker, &short).await;
            created += 1;
        }
        sleep(Duration::from_secs(number % 11)).await;
    }
    control.set_network(Network::Whole);
    sleep(Duration::from_secs(60)).await;
    assert!(created > 20, "{created}");
    assert_eq!(worker.agent.registry.observe().len(), 1);
    assert_eq!((control.end_of(&lasting), browsers.alive()), (None, 1));
    worker.shutdown().await;
}
