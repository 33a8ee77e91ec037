//! Joins the pieces of a finished attempt, so that reading a log is few requests.

use object_store::path::Path;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use protocol::service::{AttemptId, StreamName};

use super::{LogError, Objects, READ, failed};
use crate::database::OperationError;
use crate::operation::stream::{self, PieceRow};

impl Objects {
    /// What fails stays in pieces, and keeps nothing else in pieces.
    pub(in crate::logs) async fn join(&self, id: AttemptId) {
        let streams = match self.list(id).await {
            Ok(streams) => streams,
            Err(error) => {
                tracing::warn!(%error, %id, "logs stay in pieces");
                return;
            }
        };
        for stream in streams {
            let name = stream.name;
            if let Err(error) = self.join_stream(id, &name).await {
                tracing::warn!(%error, %id, %name, "a stream stays in pieces");
            }
        }
    }

    async fn join_stream(&self, id: AttemptId, name: &StreamName) -> Result<(), LogError> {
        let of = name.clone();
        let pieces = self
            .database
            .read(move |tx| stream::pieces(tx, id, &of))
            .await?;
        for run in runs(pieces) {
            if run.len() > 1 {
                self.join_run(id, name, run).await?;
            }
        }
        Ok(())
    }

    /// Writes what pieces have into one object.
    async fn copy(
        &self,
        run: &[PieceRow],
        object: &Path,
        upload: &mut WriteMultipart,
    ) -> Result<(), LogError> {
        for piece in run {
            let from = Path::from(piece.object.as_str());
            let mut at = 0;
            while at < piece.length {
                let end = piece.length.min(at + READ);
                // All of it, since what is joined takes its place.
                upload.write(&self.get(&from, at..end, piece.length).await?);
                let room = upload.wait_for_capacity(4).await;
                room.map_err(failed("write", object))?;
                at = end;
            }
        }
        Ok(())
    }

    async fn join_run(
        &self,
        id: AttemptId,
        name: &StreamName,
        run: Vec<PieceRow>,
    ) -> Result<(), LogError> {
        let Some(start) = run.first().map(|piece| piece.start) else {
            return Ok(());
        };
        let object = self.name(id, name, start);
        let upload = self.store.put_multipart(&object).await;
        let mut upload = WriteMultipart::new(upload.map_err(failed("write", &object))?);
        if let Err(error) = self.copy(&run, &object, &mut upload).await {
            // Parts of what came to no end are stored, and seen by nobody.
            if let Err(error) = upload.abort().await {
                tracing::debug!(%error, %object, "parts of an object stay");
            }
            return Err(error);
        }
        upload.finish().await.map_err(failed("write", &object))?;
        let joined = PieceRow {
            start,
            length: run.iter().map(|piece| piece.length).sum(),
            object: object.to_string(),
        };
        let (name, old) = (name.clone(), run.clone());
        let replaced = self
            .database
            .write(move |tx| stream::replace(tx, id, &name, &old, &joined));
        match replaced.await {
            Ok(()) => {}
            // The stream was removed meanwhile, or somebody else has joined it.
            Err(OperationError::Refused(problem)) => {
                tracing::debug!(problem = problem.message, %id, "pieces are not joined");
                self.delete(vec![object.to_string()]).await;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        self.delete(run.into_iter().map(|piece| piece.object).collect())
            .await;
        Ok(())
    }
}

/// Pieces that follow each other without a gap.
fn runs(pieces: Vec<PieceRow>) -> Vec<Vec<PieceRow>> {
    let mut runs: Vec<Vec<PieceRow>> = Vec::new();
    for piece in pieces {
        match runs.last_mut() {
            Some(run)
                if run
                    .last()
                    .is_some_and(|last| last.start + last.length == piece.start) =>
            {
                run.push(piece);
            }
            _ => runs.push(vec![piece]),
        }
    }
    runs
}
