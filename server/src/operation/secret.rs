//! Secrets: encrypted rows, and which of them a job may have.

use pipelines::Event;
use protocol::service::{ProblemCode, Secret, SecretText, Secrets, Trigger, Withheld};
use repository::identity;

use crate::database::{DatabaseError, OperationError, Row, Transaction, Value, refuse};
use crate::keyring::{Binding, Keyring};

/// A secret as it goes into the database.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    /// The repository's URL; empty for the whole server.
    pub(crate) repository: String,
    pub(crate) name: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) events: Vec<Event>,
    pub(crate) branches: Vec<String>,
    pub(crate) set_by: String,
}

/// How many secrets a repository may have, and the whole server.
const MOST: i64 = 1_000;

/// Under which name an earlier server may have kept those of a repository, where that was another one: each is bound to it, and so
/// cannot be given a new one.
fn old_name(repository: &str) -> Option<String> {
    let old = format!("{repository}.git");
    (!repository.is_empty() && identity(&old) == repository).then_some(old)
}

/// Sets one, in place of what it was.
pub(crate) fn set(tx: &mut Transaction<'_>, secret: &Sealed) -> Result<(), OperationError> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO secrets (repository, name, sealed, events, branches, set_at, set_by) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (repository, name) DO UPDATE SET sealed = excluded.sealed, events = excluded.events, \
         branches = excluded.branches, set_at = excluded.set_at, set_by = excluded.set_by",
        &[
            (&secret.repository).into(),
            (&secret.name).into(),
            secret.sealed.as_slice().into(),
            Value::json(&secret.events)?,
            Value::json(&secret.branches)?,
            now.into(),
            (&secret.set_by).into(),
        ],
    )?;
    // What an earlier server has kept of the same repository under its other name.
    if let Some(old) = old_name(&secret.repository) {
        let of = [old.as_str().into(), secret.name.as_str().into()];
        tx.execute(
            "DELETE FROM secrets WHERE repository = $1 AND name = $2",
            &of,
        )?;
    }
    let count = tx.one(
        "SELECT count(*) FROM secrets WHERE repository = $1",
        &[(&secret.repository).into()],
    )?;
    match count.int(0)? > MOST {
        true => refuse(
            ProblemCode::Conflict,
            format!("there are {MOST} secrets already, and no more are kept"),
        ),
        false => Ok(()),
    }
}

/// Those of a repository, or of the whole server: everything but their values.
pub(crate) fn list(tx: &mut Transaction<'_>, repository: &str) -> Result<Secrets, OperationError> {
    let old = old_name(repository).unwrap_or_else(|| repository.to_owned());
    let rows = tx.query(
        "SELECT name, repository, events, branches, set_at, set_by FROM secrets s WHERE repository = $1 \
         OR (repository = $2 AND NOT EXISTS (SELECT 1 FROM secrets n WHERE n.repository = $1 AND n.name = s.name)) ORDER BY name",
        &[repository.into(), old.into()],
    )?;
    let secret = |row: &Row| {
        Ok(Secret {
            name: row.text(0)?.to_owned(),
            repository: Some(identity(row.text(1)?).to_owned()).filter(|url| !url.is_empty()),
            events: row.json(2)?,
            branches: row.json(3)?,
            set_at: row.number(4)?,
            set_by: row.text(5)?.to_owned(),
        })
    };
    let secrets: Result<Vec<_>, DatabaseError> = rows.iter().map(secret).collect();
    Ok(Secrets { secrets: secrets? })
}

/// Removes one.
pub(crate) fn remove(
    tx: &mut Transaction<'_>,
    repository: &str,
    name: &str,
) -> Result<(), OperationError> {
    let old = old_name(repository).unwrap_or_else(|| repository.to_owned());
    let gone = tx.execute(
        "DELETE FROM secrets WHERE (repository = $1 OR repository = $2) AND name = $3",
        &[repository.into(), old.into(), name.into()],
    )?;
    match gone {
        0 => refuse(ProblemCode::NotFound, format!("there is no secret {name}")),
        _ => Ok(()),
    }
}

/// What a job that names secrets gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Value(SecretText),
    Withheld(Withheld),
}

/// What a pipeline of this repository that runs for this gets of a name. The repository's own secret wins over the server's, also
/// where it is withheld.
pub(crate) fn of_job(
    tx: &mut Transaction<'_>,
    repository: i64,
    trigger: &Trigger,
    name: &str,
    keyring: Option<&Keyring>,
) -> Result<Found, OperationError> {
    let url = tx.first(
        "SELECT url FROM repositories WHERE id = $1",
        &[repository.into()],
    )?;
    let url = url.map(|row| row.text(0).map(|url| identity(url).to_owned()));
    let url = url.transpose()?.unwrap_or_default();
    let old = old_name(&url).unwrap_or_default();
    let row = tx.first(
        "SELECT s.repository, s.sealed, s.events, s.branches FROM secrets s WHERE s.name = $1 \
         AND s.repository IN ('', $2, $3) ORDER BY length(s.repository) = 0, length(s.repository) LIMIT 1",
        &[name.into(), url.into(), old.into()],
    )?;
    let Some(row) = row else {
        return Ok(Found::Withheld(Withheld::NotSet));
    };
    let events: Vec<Event> = row.json(2)?;
    let branches: Vec<String> = row.json(3)?;
    let branch = trigger.branch.as_ref();
    let withheld = if trigger.fork {
        Some(Withheld::Fork)
    } else if !events.is_empty() && !events.contains(&trigger.event) {
        Some(Withheld::Event)
    } else if !branches.is_empty() && !branch.is_some_and(|branch| branches.contains(branch)) {
        Some(Withheld::Branch)
    } else {
        None
    };
    if let Some(withheld) = withheld {
        return Ok(Found::Withheld(withheld));
    }
    let repository = row.text(0)?;
    let binding = Binding::Secret { repository, name };
    let opened = keyring.and_then(|keyring| keyring.open(binding, row.blob(1).ok()?).ok());
    Ok(match opened {
        Some(value) => Found::Value(value),
        None => {
            tracing::error!(name, repository, "a secret cannot be decrypted");
            Found::Withheld(Withheld::Unreadable)
        }
    })
}

/// The fact by which a database knows its keys: a text that opens with one of them, base64.
const FACT: &str = "secret-key";

/// What a database says about its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// It has never had any.
    None,
    /// It has had some, and nothing that is encrypted with them.
    Unused,
    /// Something is encrypted with them.
    Needed,
}

/// What this database says about its keys.
pub(crate) fn keys(tx: &mut Transaction<'_>) -> Result<Keys, OperationError> {
    let fact = tx.first("SELECT 1 FROM facts WHERE name = $1", &[FACT.into()])?;
    let used = tx.first("SELECT 1 FROM secrets LIMIT 1", &[])?;
    Ok(match (fact, used) {
        (None, _) => Keys::None,
        (Some(_), None) => Keys::Unused,
        (Some(_), Some(_)) => Keys::Needed,
    })
}

/// Forgets keys that nothing is encrypted with.
pub(crate) fn forget_keys(tx: &mut Transaction<'_>) -> Result<(), OperationError> {
    tx.execute("DELETE FROM facts WHERE name = $1", &[FACT.into()])?;
    Ok(())
}

/// Looks whether these are the database's keys; those of the first server become it. What another key than the first has encrypted
/// is encrypted anew. `check` is [`check`] of these keys.
pub(crate) fn adopt(
    tx: &mut Transaction<'_>,
    keyring: &Keyring,
    check: &str,
) -> Result<bool, OperationError> {
    tx.execute(
        "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        &[FACT.into(), check.into()],
    )?;
    let row = tx.one("SELECT value FROM facts WHERE name = $1", &[FACT.into()])?;
    let known = decode(row.text(0)?);
    if keyring.open(Binding::Check, &known).is_err() {
        return Ok(false);
    }
    if !keyring.is_current(&known) {
        tx.execute(
            "UPDATE facts SET value = $1 WHERE name = $2",
            &[check.into(), FACT.into()],
        )?;
    }
    let rows = tx.query(
        "SELECT id, repository, name, sealed FROM secrets ORDER BY id",
        &[],
    )?;
    for row in &rows {
        let sealed = row.blob(3)?;
        if keyring.is_current(sealed) {
            continue;
        }
        let binding = Binding::Secret {
            repository: row.text(1)?,
            name: row.text(2)?,
        };
        let Ok(value) = keyring.open(binding, sealed) else {
            tracing::error!(
                ?binding,
                "a secret cannot be decrypted, and is left as it is"
            );
            continue;
        };
        let again = keyring.seal(binding, &value).map_err(|error| {
            OperationError::from(DatabaseError::Statement {
                message: format!("the kernel gives no random numbers: {error}"),
            })
        })?;
        // Somebody may have set it in the meantime.
        tx.execute(
            "UPDATE secrets SET sealed = $1 WHERE id = $2 AND sealed = $3",
            &[again.as_slice().into(), row.int(0)?.into(), sealed.into()],
        )?;
    }
    Ok(true)
}

/// The text by which a database knows these keys.
pub(crate) fn check(keyring: &Keyring) -> Result<String, getrandom::Error> {
    use base64::Engine as _;
    let text = SecretText::new("slipway".to_owned());
    let sealed = keyring.seal(Binding::Check, &text)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(sealed))
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    decoded.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Database, Location};

    fn sealed(keyring: &Keyring, repository: &str) -> Sealed {
        let name = "TOKEN";
        let value = SecretText::new(format!("of {repository}"));
        Sealed {
            repository: repository.to_owned(),
            name: name.to_owned(),
            sealed: keyring
                .seal(Binding::Secret { repository, name }, &value)
                .unwrap(),
            events: Vec::new(),
            branches: Vec::new(),
            set_by: "me".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_an_earlier_server_kept_under_a_name_with_git_is_the_repositorys_and_nobody_elses()
    {
        let directory = tempfile::TempDir::new().unwrap();
        let database = Database::open(&Location::Sqlite(directory.path().join("db"))).unwrap();
        let keyring = Keyring::make(&directory.path().join("key")).unwrap();
        let asked = database.write(move |tx| {
            let urls = [
                "https://h/a",
                "https://h/a.git",
                "https://h/a.git.git",
                "https://h/a/b",
                "file:///a",
                "",
            ];
            for (id, url) in (1_i64..).zip(urls) {
                tx.execute(
                    "INSERT INTO repositories (id, url) VALUES ($1, $2)",
                    &[id.into(), url.into()],
                )?;
            }
            let found = |tx: &mut Transaction<'_>| -> Result<Vec<String>, OperationError> {
                (1_i64..)
                    .zip(urls)
                    .map(|(id, _)| {
                        let found = of_job(tx, id, &Trigger::default(), "TOKEN", Some(&keyring));
                        Ok(match found? {
                            Found::Value(value) => value.expose().to_owned(),
                            Found::Withheld(_) => String::new(),
                        })
                    })
                    .collect()
            };
            for repository in ["https://h/a.git", "file:///a.git"] {
                set(tx, &sealed(&keyring, repository))?;
            }
            let old = "of https://h/a.git";
            assert_eq!(found(tx)?, [old, old, "", "", "", ""]);
            let listed = list(tx, "https://h/a")?.secrets;
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].repository.as_deref(), Some("https://h/a"));
            assert!(list(tx, "file:///a")?.secrets.is_empty());
            // One that is set anew is the only one.
            set(tx, &sealed(&keyring, "https://h/a"))?;
            let new = "of https://h/a";
            assert_eq!(found(tx)?, [new, new, "", "", "", ""]);
            assert_eq!(list(tx, "https://h/a")?.secrets.len(), 1);
            remove(tx, "https://h/a", "TOKEN")?;
            assert_eq!(found(tx)?, [""; 6]);
            // One that is removed is removed under both.
            set(tx, &sealed(&keyring, "https://h/a.git"))?;
            remove(tx, "https://h/a", "TOKEN")?;
            assert_eq!(found(tx)?, [""; 6]);
            // The server's own is everybody's who has none.
            set(tx, &sealed(&keyring, ""))?;
            set(tx, &sealed(&keyring, "https://h/a.git"))?;
            assert_eq!(found(tx)?, [old, old, "of ", "of ", "of ", "of "]);
            Ok(())
        });
        asked.await.unwrap();
    }
}
