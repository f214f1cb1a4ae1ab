//! Ends sessions that are past their time: those that a worker should have ended, and those that never started.

use std::time::Duration;

use wharf_store::sessions;

use super::end;
use crate::{Control, Error};

/// What a worker gets to report the end by itself: one heartbeat and some.
const GRACE: Duration = Duration::from_secs(10);

/// Ends them: RUNNING ones as timed out, PENDING ones as never launched.
///
/// # Errors
/// Postgres does not answer.
pub(crate) async fn end_overdue_sessions(control: &Control) -> Result<(), Error> {
    let mut transaction = control.store.system().await?;
    let launch = control.timings.create_within;
    let overdue = sessions::overdue(&mut transaction, GRACE.as_secs_f64(), launch.as_secs_f64()).await?;
    transaction.commit().await?;
    for (session, reason) in overdue {
        end(control, session, reason).await;
    }
    Ok(())
}
