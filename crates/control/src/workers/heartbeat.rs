//! A worker reports everything it runs, and is told what to stop.

use std::collections::HashMap;
use std::time::Duration;

use wharf_domain::{EndReason, Generation, SessionId};
use wharf_protocol::{Heartbeat, HeartbeatReply, ObservedSession, ObservedStatus, Order, SessionOrder};
use wharf_store::sessions;
use wharf_store::workers;

use super::report;
use crate::{Control, Error, WorkerCaller, reconcile};

/// A report may have been long under way: what started since is none of what it does not name.
const UNREPORTED_GRACE: Duration = Duration::from_secs(60);

/// Renews the worker's lease, stores what its sessions used and which have ended, and answers with orders.
///
/// # Errors
/// A newer process of the same worker has registered: this one must stop.
pub async fn heartbeat(
    control: &Control,
    caller: &WorkerCaller,
    beat: Heartbeat,
) -> Result<HeartbeatReply, Error> {
    let mut transaction = control.store.system().await?;
    let Some(renewal) =
        workers::renew(&mut transaction, caller.worker(), beat.incarnation, beat.draining).await?
    else {
        return Err(Error::Conflict(
            "a newer process of this worker has registered; this one must stop".to_owned(),
        ));
    };
    report::usage(&mut transaction, caller, &beat.sessions).await?;
    transaction.commit().await?;

    let failed = report::end(control, caller, &beat.sessions).await;
    let ids: Vec<_> = beat.sessions.iter().map(|observed| observed.session).collect();
    let mut transaction = control.store.system().await?;
    report::start(&mut transaction, caller, &beat.sessions).await?;
    let live = sessions::find_live(&mut transaction, &ids).await?;
    let unreported = sessions::unreported(
        &mut transaction,
        caller.worker(),
        beat.incarnation,
        &ids,
        UNREPORTED_GRACE,
    )
    .await?;
    transaction.commit().await?;
    for session in unreported {
        reconcile::end(control, session, EndReason::WorkerLost).await;
    }
    let live = live
        .into_iter()
        .map(|session| (session.id, session.generation))
        .collect();
    let mut orders = orders(&beat.sessions, &live);
    orders.retain(|order| !failed.iter().any(|failed| failed.session == order.session));
    Ok(HeartbeatReply {
        drain: renewal.draining,
        orders,
    })
}

/// What to tell the worker, given which sessions are live and in which generation, after the reported ends were stored.
fn orders(observed: &[ObservedSession], live: &HashMap<SessionId, Generation>) -> Vec<SessionOrder> {
    observed
        .iter()
        .filter_map(|observed| {
            let order = match observed.status {
                ObservedStatus::Ended(_) => Order::Forget,
                _ if live.get(&observed.session) == Some(&observed.generation) => return None,
                ObservedStatus::Starting | ObservedStatus::Running => Order::Kill,
            };
            Some(SessionOrder {
                session: observed.session,
                generation: observed.generation,
                order,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use wharf_domain::{ManualClock, SeededEntropy, Timestamp};
    use wharf_protocol::Usage;

    use super::*;

    fn observed(session: SessionId, generation: i32, status: ObservedStatus) -> ObservedSession {
        ObservedSession {
            session,
            generation: Generation(generation),
            status,
            usage: Usage::default(),
        }
    }

    fn order_for(
        status: ObservedStatus,
        observed_generation: i32,
        live_generation: Option<i32>,
    ) -> Option<Order> {
        let session = SessionId::mint(
            &ManualClock::starting_at(Timestamp::UNIX_EPOCH),
            &SeededEntropy::new(1),
        );
        let live = live_generation
            .map(|generation| (session, Generation(generation)))
            .into_iter()
            .collect();
        orders(&[observed(session, observed_generation, status)], &live)
            .first()
            .map(|order| order.order)
    }

    #[test]
    fn what_is_live_goes_on() {
        assert_eq!(order_for(ObservedStatus::Running, 1, Some(1)), None);
        assert_eq!(order_for(ObservedStatus::Starting, 2, Some(2)), None);
    }

    #[test]
    fn what_has_ended_or_was_launched_anew_is_killed() {
        assert_eq!(order_for(ObservedStatus::Running, 1, None), Some(Order::Kill));
        assert_eq!(order_for(ObservedStatus::Running, 1, Some(2)), Some(Order::Kill));
        assert_eq!(order_for(ObservedStatus::Starting, 1, None), Some(Order::Kill));
    }

    #[test]
    fn a_stored_end_is_reported_no_more() {
        assert_eq!(
            order_for(ObservedStatus::Ended(EndReason::Timeout), 1, None),
            Some(Order::Forget)
        );
        assert_eq!(
            order_for(ObservedStatus::Ended(EndReason::Timeout), 1, Some(2)),
            Some(Order::Forget)
        );
    }
}
