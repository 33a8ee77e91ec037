//! Removes objects that are not kept: those that rows name, and those that nobody has come to name.
//!
//! Nobody writes to what is removed: whoever is still at it is refused by the transaction that would let it count. Rows go last, so
//! that what could not be removed is found again.

use futures_util::StreamExt as _;
use object_store::ObjectStore as _;
use object_store::path::Path;
use protocol::service::{AttemptId, StreamName};

use super::{LogError, Objects, failed};
use crate::operation::stream;

/// Objects that are named in one request.
const AT_ONCE: usize = 1_000;

impl Objects {
    /// Everything of an attempt. Its rows stay.
    pub(in crate::logs) async fn delete_all(&self, id: AttemptId) -> Result<(), LogError> {
        let objects = self
            .database
            .read(move |tx| stream::objects(tx, id))
            .await?;
        self.delete_each(objects).await?;
        self.delete_unnamed(&self.place(id, None)).await
    }

    /// All archives of an attempt.
    pub(in crate::logs) async fn delete_artifacts(&self, id: AttemptId) -> Result<(), LogError> {
        for info in self.list(id).await? {
            if info.name.is_archive() {
                self.delete_stream(id, &info.name).await?;
            }
        }
        // A stream whose first piece came to nothing has no row.
        let place = self.place(id, None);
        let found = match self.store.list_with_delimiter(Some(&place)).await {
            Ok(found) => found.common_prefixes,
            Err(error) => return self.unlisted(&place, error).await,
        };
        for place in found {
            let name = place.parts().next_back();
            let name = name.and_then(|name| name.as_ref().parse::<StreamName>().ok());
            if name.is_some_and(|name| name.is_archive()) {
                self.delete_unnamed(&place).await?;
            }
        }
        Ok(())
    }

    /// One stream. Its rows stay.
    pub(in crate::logs) async fn delete_stream(
        &self,
        id: AttemptId,
        name: &StreamName,
    ) -> Result<(), LogError> {
        let of = name.clone();
        let pieces = self
            .database
            .read(move |tx| stream::pieces(tx, id, &of))
            .await?;
        let objects = pieces.into_iter().map(|piece| piece.object).collect();
        self.delete_each(objects).await?;
        self.delete_unnamed(&self.place(id, Some(name))).await
    }

    async fn delete_each(&self, objects: Vec<String>) -> Result<(), LogError> {
        self.delete_all_of(objects.into_iter().map(Path::from).collect())
            .await
    }

    async fn delete_all_of(&self, paths: Vec<Path>) -> Result<(), LogError> {
        let Some(first) = paths.first().cloned() else {
            return Ok(());
        };
        let paths = futures_util::stream::iter(paths).map(Ok).boxed();
        let mut deleting = self.store.delete_stream(paths);
        while let Some(deleted) = deleting.next().await {
            match deleted {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                // Which it was the error says.
                Err(error) => return Err(failed("delete", &first)(error)),
            }
        }
        Ok(())
    }

    /// What is there without a row: of who died, or has not come to its transaction.
    async fn delete_unnamed(&self, place: &Path) -> Result<(), LogError> {
        let mut found = self.store.list(Some(place)).chunks(AT_ONCE);
        while let Some(objects) = found.next().await {
            let mut paths = Vec::with_capacity(objects.len());
            let mut failed = None;
            for object in objects {
                match object {
                    Ok(object) => paths.push(object.location),
                    Err(error) => failed = Some(error),
                }
            }
            self.delete_all_of(paths).await?;
            if let Some(error) = failed {
                return self.unlisted(place, error).await;
            }
        }
        Ok(())
    }

    /// Whoever may not list has to live with what nobody names. Who is refused everything, since its clock or its keys are wrong, has
    /// not been told that.
    async fn unlisted(&self, place: &Path, error: object_store::Error) -> Result<(), LogError> {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return Ok(());
        }
        // The client has no kind of error for a list that is refused.
        let may_not = error.to_string().contains("status code: 403");
        if may_not && self.is_recognised().await {
            tracing::debug!(%error, %place, "objects without a row cannot be looked for");
            return Ok(());
        }
        Err(failed("list", place)(error))
    }
}
