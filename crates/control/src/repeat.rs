//! Runs whole transactions again.

use wharf_store::StoreError;

const TRIES: u32 = 5;

/// Runs a transaction, and again when Postgres undid it or lost its connection: after a failover every pooled connection
/// fails once. It must be one that changes nothing when it runs a second time, as all are that are guarded by a session's
/// status and generation: then a COMMIT whose answer was lost does not matter either.
///
/// # Errors
/// The last failure.
pub(crate) async fn repeat<Outcome, Transaction>(
    mut transaction: impl FnMut() -> Transaction,
) -> Result<Outcome, StoreError>
where
    Transaction: Future<Output = Result<Outcome, StoreError>>,
{
    let mut tries = 1;
    loop {
        match transaction().await {
            Err(error) if error.is_worth_repeating() && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}
