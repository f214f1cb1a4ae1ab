//! The one row of the table `control_plane`: when somebody last looked after the workers.

use std::time::Duration;

use crate::{StoreError, SystemTransaction};

/// Notes that a replica looks after the workers now; whether it may declare any lost. After a `gap` without a look it may
/// not for the time of `amnesty`: nobody could report, so nobody's silence means anything.
///
/// # Errors
/// Postgres does not answer.
pub async fn look(
    transaction: &mut SystemTransaction,
    gap: Duration,
    amnesty: Duration,
) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"
        UPDATE control_plane
        SET looked_at = now(),
            amnesty_until = CASE WHEN looked_at < now() - make_interval(secs => $1)
                                 THEN now() + make_interval(secs => $2) ELSE amnesty_until END
        RETURNING amnesty_until < now() AS "may_judge!"
        "#,
        gap.as_secs_f64(),
        amnesty.as_secs_f64(),
    )
    .fetch_one(transaction.connection())
    .await?;
    Ok(row.may_judge)
}
