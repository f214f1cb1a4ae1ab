use proptest::prelude::*;

use super::*;

proptest! {
    /// Whatever happens, a decision to wait leads into the future, and nothing but failures and memory leads past the
    /// bound.
    #[test]
    fn waiting_moves_on_and_has_an_end(
        missing_for in 0..20_000_u64,
        claimed_before in prop::option::of(0..20_000_u64),
        noted_before in 0..20_000_u64,
        failed in prop::option::of(-2_000..2_000_i64),
        stalled in prop::option::of(0.0..1.0),
        memory in prop::option::of(0..2_u64 << 30),
    ) {
        let ago = Duration::from_millis;
        let now = Instant::now() + Duration::from_secs(60);
        let missing_since = now - ago(missing_for);
        let moment = Moment {
            now,
            missing_since,
            last_claim: claimed_before.map(|before| now - ago(before)),
            not_before: failed.map(|shift| now + ago(2_000) - ago(2_000_u64.saturating_add_signed(-shift))),
            noted: now - ago(noted_before.min(missing_for)),
            stalled,
            memory: memory.map(Bytes),
        };
        let put_off = moment.not_before.is_some_and(|not_before| not_before > now);
        let short = moment.memory.is_some_and(|memory| memory < MEMORY_KEPT);
        match moment.decide() {
            Decision::Wait { until, .. } => {
                prop_assert!(until > now);
                prop_assert!(put_off || short || until <= missing_since + WAIT_AT_MOST);
            }
            Decision::Start => {
                prop_assert!(!put_off && !short);
                let calm = stalled.is_none_or(|share| share <= CALM) && claimed_before.is_none_or(|before| before >= 500);
                prop_assert!(calm || missing_for >= 10_000);
            }
        }
    }
}

#[test]
fn the_pause_doubles_up_to_a_minute() {
    let pauses: Vec<u64> = (0..9).map(|failures| backoff(failures).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(backoff(u32::MAX), LONGEST_BACKOFF);
}

#[test]
fn the_share_is_of_the_time_between_two_looks() {
    let noted = Instant::now();
    let now = noted + Duration::from_millis(200);
    let stalled = |milliseconds| Some(Duration::from_millis(milliseconds));
    assert_eq!(share((noted, stalled(1_000)), (now, stalled(1_050))), Some(0.25));
    assert_eq!(share((noted, stalled(1_000)), (noted, stalled(1_000))), None);
    assert_eq!(share((noted, None), (now, stalled(1))), None);
    // The counter starts anew where a container is moved.
    assert_eq!(share((noted, stalled(9_000)), (now, stalled(0))), Some(0.0));
}
