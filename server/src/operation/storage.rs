//! Where the logs are that belong to a database.

use crate::database::{OperationError, Transaction};

/// Notes it the first time; what is noted is returned.
pub(crate) fn belongs(tx: &mut Transaction<'_>, storage: &str) -> Result<String, OperationError> {
    tx.execute(
        "INSERT INTO facts (name, value) VALUES ('storage', $1) ON CONFLICT (name) DO NOTHING",
        &[storage.into()],
    )?;
    let row = tx.one("SELECT value FROM facts WHERE name = 'storage'", &[])?;
    Ok(row.text(0)?.to_owned())
}
