//! The keys that a server has, when they are those of its database.

use std::sync::Arc;

use crate::config::Config;
use crate::database::{Database, Location};
use crate::keyring::{KeyError, Keyring};
use crate::operation::secret::{self, Keys};
use crate::run::ServerError;

/// The keys of secrets, when they are those of the database. PostgreSQL may have other servers, which need the same ones: there a
/// file has to be named before secrets are kept.
pub(crate) async fn open(
    config: &Config,
    database: &Database,
) -> Result<Option<Arc<Keyring>>, ServerError> {
    let failed = |error| ServerError::Secrets(Box::new(error));
    let known = database.read(secret::keys).await.map_err(failed)?;
    let own = config.data.join("secret-key");
    let keyring = match (&config.secret_key_file, &config.database) {
        (Some(path), _) => Keyring::read(path)?,
        (None, Location::Sqlite(_)) if own.exists() => Keyring::read(&own)?,
        (None, Location::Sqlite(_)) if known == Keys::Needed => {
            return Err(KeyError::Missing { path: Some(own) }.into());
        }
        // A copy of a database without secrets needs no key from before.
        (None, Location::Sqlite(_)) => {
            let forgotten = database.write(secret::forget_keys).await;
            forgotten.map_err(failed)?;
            Keyring::make(&own)?
        }
        (None, Location::Postgres(_)) if known == Keys::None => return Ok(None),
        (None, Location::Postgres(_)) => return Err(KeyError::Missing { path: None }.into()),
    };
    let no_numbers = |error| ServerError::File {
        action: "use the key of",
        path: own.clone(),
        source: std::io::Error::other(error),
    };
    let check = secret::check(&keyring).map_err(no_numbers)?;
    let keyring = Arc::new(keyring);
    let keys = Arc::clone(&keyring);
    let adopted = database
        .write(move |tx| secret::adopt(tx, &keys, &check))
        .await
        .map_err(failed)?;
    match adopted {
        true => Ok(Some(keyring)),
        false => Err(keyring.wrong().into()),
    }
}
