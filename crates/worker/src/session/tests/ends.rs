//! From the browser's answer to its last trace.

use wharf_domain::Bytes;

use super::*;

/// Launches, lets `life` happen, and says why the session ended and how many whole seconds it ran.
async fn lived(request: LaunchRequest, life: impl AsyncFnOnce(&Staged, Arc<Session>)) -> (EndReason, u64) {
    let staged = staged(1);
    staged.agent.launch(request.clone()).await.unwrap();
    life(&staged, staged.session(&request)).await;
    let reason = staged.end_of(&request).await;
    assert_eq!(staged.browsers.alive(), 0, "the browser must be gone");
    assert_eq!(staged.agent.slots.available_permits(), 1);
    assert!(
        staged.session(&request).join().is_none(),
        "nobody comes in after the end"
    );
    (reason, staged.observed(&request).usage.running.0 / 1_000)
}

fn kept_alive() -> LaunchRequest {
    LaunchRequest {
        keep_alive: true,
        connect_within: None,
        ..request(1)
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_at_its_deadline_with_or_without_clients() {
    assert_eq!(
        lived(kept_alive(), async |_, _| {}).await,
        (EndReason::Timeout, 600)
    );
    let connected = lived(request(1), async |staged, session| {
        let _client = session.join().unwrap();
        assert_eq!(staged.end_of(&request(1)).await, EndReason::Timeout);
    });
    assert_eq!(connected.await, (EndReason::Timeout, 600));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_comes_to_ends_after_its_connect_time() {
    assert_eq!(
        lived(request(1), async |_, _| {}).await,
        (EndReason::NeverConnected, 300)
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_came_in_time_and_stays_is_not_cut_by_the_connect_time() {
    let life = lived(request(1), async |_, session| {
        seconds(299).await;
        let client = session.join().unwrap();
        seconds(100).await;
        drop(client);
    });
    assert_eq!(life.await, (EndReason::Disconnected, 399));
}

#[tokio::test(start_paused = true)]
async fn only_the_last_clients_leaving_ends_a_session() {
    let life = lived(request(1), async |_, session| {
        let (first, second) = (session.join().unwrap(), session.join().unwrap());
        drop(first);
        seconds(5).await;
        drop(second);
    });
    assert_eq!(life.await, (EndReason::Disconnected, 5));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_kept_alive_outlives_its_clients() {
    let life = lived(kept_alive(), async |staged, session| {
        drop(session.join().unwrap());
        seconds(400).await;
        drop(session.join().unwrap());
        staged.release(&kept_alive());
    });
    assert_eq!(life.await, (EndReason::Released, 400));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_in_time_is_not_nobody() {
    let both = LaunchRequest {
        keep_alive: true,
        ..request(1)
    };
    let life = lived(both, async |_, session| {
        drop(session.join().unwrap());
    });
    assert_eq!(life.await, (EndReason::Timeout, 600));
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_dies_under_its_client_has_crashed_though_the_tunnel_ends_first() {
    let life = lived(request(1), async |staged, session| {
        session.join().unwrap().depart(Departure::BrowserClosed);
        tokio::time::sleep(Duration::from_millis(20)).await;
        staged.browsers.exit(Exit::Crash("signal 11".to_owned()));
    });
    assert_eq!(life.await.0, EndReason::BrowserCrashed);
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_closes_a_connection_and_lives_has_lost_its_client() {
    let life = lived(request(1), async |_, session| {
        session.join().unwrap().depart(Departure::BrowserClosed);
    });
    assert_eq!(life.await.0, EndReason::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_the_browser_has_disconnected() {
    let life = lived(kept_alive(), async |staged, session| {
        let client = session.join().unwrap();
        staged.browsers.exit(Exit::Clean);
        session.cut().cancelled().await;
        drop(client);
    });
    assert_eq!(life.await.0, EndReason::Disconnected);
    let alone = lived(kept_alive(), async |staged, _| staged.browsers.exit(Exit::Clean));
    assert_eq!(alone.await.0, EndReason::BrowserCrashed);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_once_and_for_the_first_reason() {
    let life = lived(request(1), async |staged, session| {
        staged.release(&request(1));
        session.end(EndReason::Killed);
        staged.browsers.exit(Exit::Clean);
    });
    assert_eq!(life.await.0, EndReason::Released);
}

#[tokio::test(start_paused = true)]
async fn usage_is_sampled_while_the_session_runs_and_once_more_at_its_end() {
    let staged = staged(1);
    staged.browsers.use_up(100, 900);
    staged.agent.launch(kept_alive()).await.unwrap();
    seconds(1).await;
    staged.browsers.use_up(250, 700);
    seconds(5).await;
    let usage = staged.observed(&kept_alive()).usage;
    assert_eq!(
        (usage.cpu, usage.memory, usage.running),
        (Millis(250), Bytes(900), Millis(6_000))
    );

    staged.browsers.use_up(300, 800);
    staged.release(&kept_alive());
    staged.end_of(&kept_alive()).await;
    seconds(60).await;
    let usage = staged.observed(&kept_alive()).usage;
    assert_eq!(
        (usage.cpu, usage.memory, usage.running),
        (Millis(300), Bytes(900), Millis(6_000))
    );
}

fn idle_after(seconds: u64, request: LaunchRequest) -> LaunchRequest {
    LaunchRequest {
        idle_timeout: Some(Millis(seconds * 1_000)),
        ..request
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_with_an_idle_time_ends_when_no_client_sends_anything_connected_or_not() {
    for request in [request(1), kept_alive()] {
        let alone = lived(idle_after(60, request.clone()), async |_, _| {});
        assert_eq!(alone.await, (EndReason::Idle, 60));
        let silent = lived(idle_after(60, request), async |staged, session| {
            seconds(40).await;
            let _client = session.join().unwrap();
            seconds(50).await;
            session.touch(Instant::now());
            assert_eq!(
                staged.end_of(&idle_after(60, kept_alive())).await,
                EndReason::Idle
            );
        });
        assert_eq!(silent.await, (EndReason::Idle, 150));
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_idle_time_changes_nothing() {
    let life = lived(idle_after(601, kept_alive()), async |_, _| {});
    assert_eq!(life.await, (EndReason::Timeout, 600));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_kept_alive_waits_for_its_first_client_as_long_as_it_may_run() {
    let both = LaunchRequest {
        keep_alive: true,
        ..request(1)
    };
    assert_eq!(lived(both, async |_, _| {}).await, (EndReason::Timeout, 600));
}

/// A client that is lost now and expected back for 30 seconds.
fn lose(client: ClientGuard) {
    client.depart(Departure::Lost {
        until: Instant::now() + Duration::from_secs(30),
    });
}

#[tokio::test(start_paused = true)]
async fn a_lost_client_is_expected_back_for_its_grace() {
    let life = lived(request(1), async |_, session| {
        lose(session.join().unwrap());
    });
    assert_eq!(life.await, (EndReason::Disconnected, 30));
}

#[tokio::test(start_paused = true)]
async fn a_lost_client_that_comes_back_and_leaves_has_left() {
    let life = lived(request(1), async |_, session| {
        lose(session.join().unwrap());
        seconds(20).await;
        let client = session.join().unwrap();
        seconds(40).await;
        lose(client);
        seconds(5).await;
        drop(session.join().unwrap());
    });
    assert_eq!(life.await, (EndReason::Disconnected, 65));
}

#[tokio::test(start_paused = true)]
async fn every_lost_client_is_expected_back() {
    let life = lived(request(1), async |_, session| {
        let (first, second) = (session.join().unwrap(), session.join().unwrap());
        lose(first);
        seconds(10).await;
        lose(second);
        seconds(1).await;
        // One of the two is back, and leaves.
        drop(session.join().unwrap());
    });
    assert_eq!(life.await, (EndReason::Disconnected, 40));
}

#[tokio::test(start_paused = true)]
async fn durations_that_no_clock_can_hold_are_for_ever() {
    let endless = LaunchRequest {
        timeout: Millis(u64::MAX),
        connect_within: Some(Millis(u64::MAX)),
        idle_timeout: Some(Millis(u64::MAX)),
        ..request(1)
    };
    let life = lived(endless.clone(), async |staged, _| {
        seconds(3_000).await;
        staged.release(&endless);
    });
    assert_eq!(life.await, (EndReason::Released, 3_000));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_session_and_gives_its_slot_and_its_browser_back() {
    let life = lived(kept_alive(), async |staged, session| {
        seconds(7).await;
        staged.browsers.panic_at_exit();
        session.cut().cancelled().await;
    });
    assert_eq!(life.await, (EndReason::BrowserCrashed, 7));
}

#[tokio::test]
async fn an_end_does_not_wait_for_a_measurement_that_hangs() {
    let staged = staged(1);
    staged.agent.launch(kept_alive()).await.unwrap();
    let held = staged.browsers.clone();
    let (hold, held_now) = std::sync::mpsc::channel();
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let _reading = held.hold_readings();
        hold.send(()).unwrap();
        wait.recv().unwrap();
    });
    held_now.recv().unwrap();
    staged.release(&kept_alive());
    let end = crate::agent::testing::soon(staged.end_of(&kept_alive())).await;
    let_go.send(()).unwrap();
    holder.join().unwrap();
    assert_eq!(end, EndReason::Released);
}

/// A client that closes the browser, or a page that crashes it, ends it between two samples.
#[tokio::test(start_paused = true)]
async fn what_was_carried_last_is_counted_however_the_browser_ends() {
    for exit in [
        Exit::Clean,
        Exit::Crash("signal 11".to_owned()),
        Exit::OutOfMemory,
    ] {
        let life = lived(request(1), async |staged, session| {
            let _client = session.join().unwrap();
            staged.browsers.carry(500, 700);
            staged.browsers.exit(exit.clone());
            staged.end_of(&request(1)).await;
            let usage = staged.observed(&request(1)).usage;
            assert_eq!((usage.proxy, usage.egress), (Bytes(500), Bytes(700)), "{exit:?}");
        });
        life.await;
    }
}
