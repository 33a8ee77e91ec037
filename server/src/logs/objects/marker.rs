//! Which bucket it is: an object in it that says whose it is, so that servers with other settings, or with a restored database, are
//! not mistaken about where logs are.

use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload};

use super::{LogError, Objects, failed};

/// Longer than any marker that was written by a server, bytes.
const LONGEST: u64 = 1_024;

impl Objects {
    fn marker(&self) -> Path {
        self.prefix.clone().join("identity")
    }

    /// What the marker says; `None` where there is none, or where it may not be told: who may not list is refused what is not there
    /// as what it may not read (GetObject, permissions).
    pub(crate) async fn marked(&self) -> Result<Option<String>, LogError> {
        let path = self.marker();
        match self.read_marker().await {
            Ok(text) => Ok(Some(text)),
            Err(
                object_store::Error::NotFound { .. } | object_store::Error::PermissionDenied { .. },
            ) => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Whether the marker can be read: then keys and clock are right.
    pub(super) async fn is_recognised(&self) -> bool {
        self.read_marker().await.is_ok()
    }

    async fn read_marker(&self) -> Result<String, object_store::Error> {
        let found = self.store.get(&self.marker()).await?;
        if found.meta.size > LONGEST {
            let source = "it is no marker of a server".into();
            return Err(object_store::Error::Generic {
                store: "marker",
                source,
            });
        }
        let bytes = found.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// Writes the marker where there is none; what it says then, which is what somebody else has written where there was one.
    pub(crate) async fn mark(&self, text: &str) -> Result<String, LogError> {
        let path = self.marker();
        let payload = PutPayload::from(format!("{text}\n"));
        match self
            .store
            .put_opts(&path, payload, PutMode::Create.into())
            .await
        {
            Ok(_) => Ok(text.to_owned()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let found = self.read_marker().await;
                found.map_err(failed("read", &path))
            }
            Err(error) => Err(failed("write", &path)(error)),
        }
    }
}
