//! Which bucket it is: an object in it that says whose it is, so that servers with other settings, or with a restored database, are
//! not mistaken about where logs are.

use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};

use super::{LogError, Objects, failed};

/// Longer than any marker that was written by a server, bytes.
const LONGEST: u64 = 1_024;

impl Objects {
    fn marker(&self) -> Path {
        self.prefix.clone().join("identity")
    }

    /// What the marker says; `None` where there is none.
    pub(crate) async fn marked(&self) -> Result<Option<String>, LogError> {
        let path = self.marker();
        match self.store.get(&path).await {
            Ok(found) if found.meta.size > LONGEST => {
                let error = std::io::Error::other("it is no marker of a server");
                Err(LogError::Storage {
                    action: "read",
                    what: path.to_string(),
                    source: error,
                })
            }
            Ok(found) => {
                let bytes = found.bytes().await.map_err(failed("read", &path))?;
                Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes the marker.
    pub(crate) async fn mark(&self, text: &str) -> Result<(), LogError> {
        let path = self.marker();
        let text = PutPayload::from(format!("{text}\n"));
        let written = self.store.put(&path, text).await;
        written.map(drop).map_err(failed("write", &path))
    }
}
