//! Lanes, in which jobs wait that ask for the same labels, and groups, of whose members one runs at a time.

use std::collections::BTreeMap;

use crate::database::{DatabaseError, Transaction};
use crate::queue::{Group, Node};

/// The labels that a job asks for, as its lane has them.
pub(super) fn labels<'l>(
    runs_on: impl IntoIterator<Item = (&'l String, &'l str)>,
) -> Result<String, DatabaseError> {
    let labels: BTreeMap<&String, &str> = runs_on.into_iter().collect();
    serde_json::to_string(&labels).map_err(|source| DatabaseError::Json { source })
}

/// The lane of jobs of a repository with these labels.
pub(super) fn lane(
    tx: &mut Transaction<'_>,
    repository: i64,
    node: &Node,
    lanes: &mut BTreeMap<String, i64>,
) -> Result<i64, DatabaseError> {
    let labels = labels(
        node.runs_on
            .iter()
            .map(|(name, value)| (name, value.as_str())),
    )?;
    if let Some(known) = lanes.get(&labels) {
        return Ok(*known);
    }
    let known = tx.first(
        "SELECT id FROM lanes WHERE repository = $1 AND labels = $2",
        &[repository.into(), (&labels).into()],
    )?;
    let row = match known {
        Some(row) => row,
        None => tx.one(
            "INSERT INTO lanes (repository, labels) VALUES ($1, $2) \
             ON CONFLICT (repository, labels) DO UPDATE SET labels = excluded.labels RETURNING id",
            &[repository.into(), (&labels).into()],
        )?,
    };
    let id = row.int(0)?;
    lanes.insert(labels, id);
    Ok(id)
}

/// The group of this name.
pub(super) fn group_id(
    tx: &mut Transaction<'_>,
    repository: i64,
    scope: &'static str,
    group: &Group,
) -> Result<i64, DatabaseError> {
    tx.one(
        "INSERT INTO groups_of (repository, scope, name) VALUES ($1, $2, $3) \
         ON CONFLICT (repository, scope, name) DO UPDATE SET name = excluded.name RETURNING id",
        &[repository.into(), scope.into(), (&group.name).into()],
    )?
    .int(0)
}
