//! Workers that are killed, and what their next processes tell.

use wharf_protocol::{ObservedSession, ReleaseRequest};

use super::simulated::{Network, Simulated};
use super::*;

fn statuses(sessions: &[ObservedSession]) -> Vec<ObservedStatus> {
    let mut statuses: Vec<_> = sessions.iter().map(|session| session.status).collect();
    statuses.sort_by_key(|status| format!("{status:?}"));
    statuses
}

#[tokio::test(start_paused = true)]
async fn the_next_process_tells_what_a_killed_one_could_not() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool.json");
    let control = Arc::<Simulated>::default();
    let (first, _browsers) = control.worker(Some(spool.clone())).await;
    assert_eq!(control.last_registration().unreported, []);
    control.set_network(Network::LosesCalls);
    first.agent.launch(request(1)).await.unwrap();
    first.agent.launch(request(2)).await.unwrap();
    sleep(Duration::from_secs(11)).await;
    first.agent.release(&ReleaseRequest {
        session: request(2).session,
        generation: request(2).generation,
        reason: EndReason::Released,
    });
    sleep(Duration::from_secs(1)).await;
    // All its tasks end here, as in a process that is killed.
    drop(first);

    control.set_network(Network::Whole);
    control.refuse_registrations(true);
    assert!(control.try_worker(Some(spool.clone())).await.is_err());
    control.refuse_registrations(false);
    let (second, _browsers) = control.worker(Some(spool.clone())).await;
    let unreported = control.last_registration().unreported;
    assert_eq!(
        statuses(&unreported),
        [
            ObservedStatus::Ended(EndReason::Released),
            ObservedStatus::Running
        ],
        "a refused registration must not cost the spool"
    );
    let running = unreported.iter().map(|session| session.usage.running.0).max();
    assert!(running >= Some(7_000), "{unreported:?}: one sample may be lost");
    sleep(Duration::from_secs(1)).await;
    drop(second);

    let (third, _browsers) = control.worker(Some(spool)).await;
    assert_eq!(control.last_registration().unreported, [], "it was told once");
    third.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_in_order_leaves_only_what_it_could_not_tell() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool.json");
    let control = Arc::<Simulated>::default();
    let (first, _browsers) = control.worker(Some(spool.clone())).await;
    control.create(&first, &request(1)).await;
    first.shutdown().await;
    assert_eq!(control.end_of(&request(1)), Some(EndReason::Killed));
    let (second, _browsers) = control.worker(Some(spool.clone())).await;
    assert_eq!(control.last_registration().unreported, []);

    control.create(&second, &request(2)).await;
    control.set_network(Network::LosesCalls);
    second.shutdown().await;
    control.set_network(Network::Whole);
    let (third, _browsers) = control.worker(Some(spool)).await;
    let unreported = control.last_registration().unreported;
    assert_eq!(statuses(&unreported), [ObservedStatus::Ended(EndReason::Killed)]);
    third.shutdown().await;
}
