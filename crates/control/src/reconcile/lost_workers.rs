//! Ends the sessions of workers that have been silent for too long.
//!
//! A silent worker may be dead, or we may be deaf. Two brakes keep us from ending a region's sessions for our own fault:
//! when most of a region is silent nobody there is declared lost for a while, and after a time in which no replica looked
//! (the control plane or Postgres was away) every worker first gets the time to speak again.

use std::time::Duration;

use wharf_domain::{EndReason, Region, WorkerId};
use wharf_store::workers::{self, Lease};
use wharf_store::{control_plane, sessions};

use super::end;
use crate::{Control, Error, Timings};

/// Without a look for this long the control plane was away: a run comes every five seconds, from each replica.
const GAP: Duration = Duration::from_secs(20);
/// The share of a region's workers, in percent, whose silence says more about us than about them. Kubernetes has the
/// same in its node controller.
const BRAKE_PERCENT: usize = 55;
/// With fewer silent workers than this a share means nothing.
const BRAKE_WORKERS: usize = 3;

/// Ends the sessions of lost workers.
///
/// # Errors
/// Postgres does not answer.
pub(crate) async fn end_sessions_of_lost_workers(control: &Control) -> Result<(), Error> {
    let timings = &control.timings;
    let mut transaction = control.store.system().await?;
    let may_judge = control_plane::look(&mut transaction, GAP, timings.lost_after).await?;
    let leases = workers::leases(&mut transaction, timings.brake_for * 2).await?;
    let lost = if may_judge {
        lost(&leases, timings)
    } else {
        Vec::new()
    };
    let sessions = sessions::of_workers(&mut transaction, &lost).await?;
    transaction.commit().await?;
    if !sessions.is_empty() {
        tracing::warn!(workers = ?lost.iter().map(ToString::to_string).collect::<Vec<_>>(), sessions = sessions.len(), "workers are lost, and their sessions with them");
    }
    for session in sessions {
        end(control, session, EndReason::WorkerLost).await;
    }
    Ok(())
}

/// Which workers are lost. One that serves a region where the brake holds is not, until it has been silent for the
/// brake's own time.
fn lost(leases: &[Lease], timings: &Timings) -> Vec<WorkerId> {
    let braked: Vec<Region> = Region::ALL
        .into_iter()
        .filter(|region| is_braked(leases, *region, timings))
        .collect();
    leases
        .iter()
        .filter(|lease| lease.holds_sessions && lease.silent_for >= timings.lost_after)
        .filter(|lease| {
            lease.silent_for >= timings.brake_for
                || !lease.regions.iter().any(|region| braked.contains(region))
        })
        .map(|lease| lease.worker)
        .collect()
}

fn is_braked(leases: &[Lease], region: Region, timings: &Timings) -> bool {
    let serving = leases.iter().filter(|lease| lease.regions.contains(&region));
    let (silent, all) = serving.fold((0, 0), |(silent, all), lease| {
        (
            silent + usize::from(lease.silent_for >= timings.silent_after),
            all + 1,
        )
    });
    silent >= BRAKE_WORKERS && silent * 100 >= all * BRAKE_PERCENT
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn lease(number: u128, silent: u64) -> Lease {
        Lease {
            worker: WorkerId::from(Uuid::from_u128(number)),
            regions: vec![Region::UsWest2],
            silent_for: Duration::from_secs(silent),
            holds_sessions: true,
        }
    }

    fn lost_among(silences: &[u64]) -> usize {
        let leases: Vec<_> = (0..)
            .zip(silences)
            .map(|(number, silent)| lease(number, *silent))
            .collect();
        lost(&leases, &Timings::default()).len()
    }

    #[test]
    fn a_worker_is_lost_after_a_minute_and_not_before() {
        assert_eq!(lost_among(&[59, 0, 0]), 0);
        assert_eq!(lost_among(&[60, 0, 0]), 1);
        assert_eq!(lost_among(&[60]), 1, "the only worker of a region may be lost");
        assert_eq!(lost_among(&[60, 60]), 2);
    }

    #[test]
    fn nobody_is_lost_while_most_of_a_region_is_silent() {
        assert_eq!(lost_among(&[60, 60, 60]), 0);
        assert_eq!(lost_among(&[60, 60, 60, 0, 0]), 0, "60 % are silent");
        assert_eq!(lost_among(&[60, 60, 60, 0, 0, 0]), 3, "50 % are silent");
        assert_eq!(
            lost_among(&[60, 11, 11, 0]),
            0,
            "two have only just fallen silent"
        );
        assert_eq!(lost_among(&[600, 60, 60]), 1, "the brake has its own end");
    }

    #[test]
    fn a_silent_worker_without_sessions_has_nothing_to_lose() {
        let idle = Lease {
            holds_sessions: false,
            ..lease(1, 70)
        };
        assert_eq!(lost(&[idle], &Timings::default()), []);
    }

    #[test]
    fn a_brake_holds_in_its_own_region_only() {
        let mut leases: Vec<_> = (0..3).map(|number| lease(number, 70)).collect();
        leases.push(Lease {
            regions: vec![Region::EuCentral1],
            ..lease(9, 70)
        });
        assert_eq!(lost(&leases, &Timings::default()), [leases[3].worker]);
    }

    proptest! {
        /// Whatever the fleet: nobody that spoke within the minute is lost, and everybody silent beyond the brake is.
        #[test]
        fn only_the_silent_are_lost(silences in proptest::collection::vec(0_u64..1_200, 0..40)) {
            let leases: Vec<_> = (0..).zip(&silences).map(|(number, silent)| lease(number, *silent)).collect();
            let lost = lost(&leases, &Timings::default());
            for lease in &leases {
                let is_lost = lost.contains(&lease.worker);
                prop_assert!(!is_lost || lease.silent_for >= Duration::from_secs(60));
                prop_assert!(is_lost || lease.silent_for < Duration::from_secs(600));
            }
        }
    }
}
