//! From the request to the browser's answer.

use wharf_protocol::Order;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_repeated_launch_gets_the_same_browser() {
    let staged = staged(2);
    staged.browsers.hold_launches(true);
    let first = tokio::join!(
        staged.agent.launch(request(1)),
        staged.agent.launch(request(1)),
        async {
            tokio::time::advance(Duration::from_millis(700)).await;
            assert_eq!(staged.observed(&request(1)).status, ObservedStatus::Starting);
            staged.browsers.hold_launches(false);
        }
    );
    let reply = first.0.unwrap();
    assert_eq!(
        reply,
        LaunchReply {
            browser_version: "Fake/1.0".to_owned(),
            took: Millis(700)
        }
    );
    assert_eq!(first.1, Ok(reply.clone()));
    assert_eq!(staged.agent.launch(request(1)).await, Ok(reply));
    assert_eq!(staged.browsers.launched(), 1);
    assert_eq!(staged.observed(&request(1)).status, ObservedStatus::Running);
}

#[tokio::test(start_paused = true)]
async fn a_launch_goes_on_without_its_caller() {
    let staged = staged(1);
    staged.browsers.hold_launches(true);
    let caller = tokio::time::timeout(Duration::from_secs(1), staged.agent.launch(request(1)));
    caller.await.unwrap_err();
    staged.browsers.hold_launches(false);
    assert!(staged.agent.launch(request(1)).await.is_ok());
    assert_eq!(staged.browsers.launched(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_generation_ends_the_earlier_one_and_is_not_undone_by_it() {
    let staged = staged(2);
    let earlier = request(1);
    let later = LaunchRequest {
        generation: Generation(2),
        ..earlier.clone()
    };
    staged.agent.launch(earlier.clone()).await.unwrap();
    staged.agent.launch(later.clone()).await.unwrap();
    assert_eq!(staged.end_of(&earlier).await, EndReason::Killed);

    staged.forget(&earlier);
    assert_eq!(staged.agent.launch(earlier).await, Err(LaunchRefusal::Stale));
    assert_eq!(staged.observed(&later).status, ObservedStatus::Running);
    assert_eq!(staged.browsers.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_is_over_and_forgotten_is_not_started_again() {
    let staged = staged(1);
    staged.agent.launch(request(1)).await.unwrap();
    staged.release(&request(1));
    staged.end_of(&request(1)).await;
    staged.forget(&request(1));
    assert_eq!(staged.agent.launch(request(1)).await, Err(LaunchRefusal::Stale));
    assert_eq!(staged.browsers.launched(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_launch_says_why_and_is_reported() {
    let staged = staged(1);
    staged.browsers.break_with("no usable sandbox");
    let failure = LaunchRefusal::Failure(LaunchFailure::Failed("no usable sandbox".to_owned()));
    assert_eq!(staged.agent.launch(request(1)).await, Err(failure));
    assert_eq!(staged.end_of(&request(1)).await, EndReason::LaunchFailed);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_released_while_it_starts_gets_no_browser() {
    let staged = staged(1);
    staged.browsers.hold_launches(true);
    let (launched, ()) = tokio::join!(staged.agent.launch(request(1)), async {
        tokio::task::yield_now().await;
        staged.release(&request(1));
    });
    let failure = LaunchRefusal::Failure(LaunchFailure::Ended(EndReason::Released));
    assert_eq!(launched, Err(failure));
    assert_eq!(staged.end_of(&request(1)).await, EndReason::Released);
    assert_eq!(staged.browsers.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_worker_refuses_after_two_seconds_and_forgets_the_request() {
    let staged = staged(1);
    staged.agent.launch(request(1)).await.unwrap();
    let asked = Instant::now();
    let refused = staged.agent.launch(request(2)).await;
    assert_eq!(refused, Err(LaunchRefusal::Failure(LaunchFailure::Full)));
    assert_eq!(asked.elapsed().as_secs(), 2);
    assert_eq!(staged.agent.registry.observe().len(), 1);

    staged.release(&request(1));
    staged.end_of(&request(1)).await;
    assert!(staged.agent.launch(request(2)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_only_when_its_browser_is_gone() {
    let staged = staged(1);
    staged.agent.launch(request(1)).await.unwrap();
    staged.browsers.hold_closes(true);
    staged.release(&request(1));
    let (launched, ()) = tokio::join!(staged.agent.launch(request(2)), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!((staged.browsers.launched(), staged.browsers.alive()), (1, 1));
        assert_eq!(staged.observed(&request(1)).status, ObservedStatus::Running);
        staged.browsers.hold_closes(false);
    });
    assert_eq!(launched.map(|reply| reply.took), Ok(Millis(500)));
    assert_eq!((staged.browsers.launched(), staged.browsers.alive()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_closed_worker_launches_nothing_and_ends_everything() {
    let staged = staged(2);
    staged.agent.launch(request(1)).await.unwrap();
    staged.agent.registry.close();
    assert_eq!(staged.end_of(&request(1)).await, EndReason::Killed);
    assert_eq!(
        staged.agent.launch(request(2)).await,
        Err(LaunchRefusal::Stopping)
    );
}

#[tokio::test(start_paused = true)]
async fn only_an_ended_session_is_forgotten() {
    let staged = staged(1);
    staged.agent.launch(request(1)).await.unwrap();
    staged.order(&request(1), Order::Forget);
    assert_eq!(staged.observed(&request(1)).status, ObservedStatus::Running);
    staged.order(&request(1), Order::Kill);
    assert_eq!(staged.end_of(&request(1)).await, EndReason::Killed);
    staged.order(&request(1), Order::Forget);
    assert_eq!(staged.agent.registry.observe(), []);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_the_browser_starts_is_a_failed_launch() {
    let staged = staged(1);
    staged.browsers.panic_at_launch();
    let refused = staged.agent.launch(request(1)).await;
    assert!(
        matches!(&refused, Err(LaunchRefusal::Failure(LaunchFailure::Failed(reason))) if reason.contains("log")),
        "{refused:?}"
    );
    assert_eq!(staged.end_of(&request(1)).await, EndReason::LaunchFailed);
    assert_eq!(staged.agent.slots.available_permits(), 1);
    assert_eq!(*staged.agent.registry.live().borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_draining_worker_launches_nothing_and_waits_for_what_runs() {
    let staged = staged(2);
    staged.agent.launch(request(1)).await.unwrap();
    let drained = crate::drain::drain(&staged.agent.registry);
    tokio::pin!(drained);
    assert!(futures_util::poll!(&mut drained).is_pending());
    assert_eq!(
        staged.agent.launch(request(2)).await,
        Err(LaunchRefusal::Draining)
    );
    assert!(
        staged.agent.launch(request(1)).await.is_ok(),
        "a repeated launch is no new one"
    );
    let begun = Instant::now();
    drained.await;
    assert_eq!(begun.elapsed().as_secs(), 300, "until its connect time");
    assert_eq!(staged.end_of(&request(1)).await, EndReason::NeverConnected);
    crate::drain::drain(&staged.agent.registry).await;
}
