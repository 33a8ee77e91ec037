//! Where the logs are that belong to a database.

use crate::database::{OperationError, Transaction};

/// Notes it the first time; what is noted is returned.
pub(crate) fn belongs(tx: &mut Transaction<'_>, storage: &str) -> Result<String, OperationError> {
    let known = noted(tx)?;
    if known.is_empty() {
        note(tx, storage)?;
        return Ok(storage.to_owned());
    }
    Ok(known)
}

/// What is noted; nothing is empty. Nobody else learns or notes anything until the transaction ends.
pub(crate) fn noted(tx: &mut Transaction<'_>) -> Result<String, OperationError> {
    let row = tx.one(
        "INSERT INTO facts (name, value) VALUES ('storage', '') ON CONFLICT (name) DO UPDATE SET value = facts.value RETURNING value",
        &[],
    )?;
    Ok(row.text(0)?.to_owned())
}

/// Notes it.
pub(crate) fn note(tx: &mut Transaction<'_>, storage: &str) -> Result<(), OperationError> {
    tx.execute(
        "UPDATE facts SET value = $1 WHERE name = 'storage'",
        &[storage.into()],
    )?;
    Ok(())
}
