//! Each image of a run is prepared once, however many jobs ask for it at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::Event;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::message::Message;
use crate::backend::{Backend, ImageError, ImageErrorKind, ImageProgress, Prepared};
use crate::clock::milliseconds;
use crate::sink::Queue;

/// How often progress is passed on at most.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

type Result<I> = std::result::Result<Arc<Prepared<I>>, ImageError>;

/// The images of a run. Preparing is a task of its own, so that a job that stops waiting (cancelled, out of time) does
/// not spoil it for the others; dropping this value stops what is still being prepared.
#[derive(Debug)]
pub(super) struct Images<B: Backend> {
    backend: Arc<B>,
    messages: mpsc::UnboundedSender<Message>,
    queue: Queue,
    tasks: Mutex<Tasks<B::Image>>,
}

#[derive(Debug)]
struct Tasks<I> {
    set: JoinSet<()>,
    results: HashMap<String, watch::Receiver<Option<Result<I>>>>,
}

impl<B: Backend> Images<B> {
    pub(super) fn new(
        backend: Arc<B>,
        messages: mpsc::UnboundedSender<Message>,
        queue: Queue,
    ) -> Self {
        Self {
            backend,
            messages,
            queue,
            tasks: Mutex::new(Tasks {
                set: JoinSet::new(),
                results: HashMap::new(),
            }),
        }
    }

    /// Waits for `image`, whose preparation begins with the first one who asks. Cancel safe.
    pub(super) async fn get(&self, image: &str) -> Result<B::Image> {
        let mut result = self.result_of(image);
        let lost = || ImageError {
            kind: ImageErrorKind::Internal,
            message: format!("the preparation of image `{image}` ended early"),
        };
        result
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|result| result.clone())
            .unwrap_or_else(|| Err(lost()))
    }

    /// Stops what is still being prepared for nobody, and waits until it has let go of the backend.
    pub(super) async fn close(&self) {
        let mut set = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut tasks.set)
        };
        set.shutdown().await;
    }

    fn result_of(&self, image: &str) -> watch::Receiver<Option<Result<B::Image>>> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = tasks.results.get(image) {
            return result.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let backend = Arc::clone(&self.backend);
        let messages = self.messages.clone();
        let queue = self.queue.clone();
        let name = image.to_owned();
        tasks.set.spawn(async move {
            let result = prepare(&*backend, &name, &messages, &queue).await;
            sender.send_replace(Some(result));
        });
        tasks.results.insert(image.to_owned(), receiver.clone());
        receiver
    }
}

async fn prepare<B: Backend>(
    backend: &B,
    image: &str,
    messages: &mpsc::UnboundedSender<Message>,
    queue: &Queue,
) -> Result<B::Image> {
    let tell = |event| {
        // The dispatcher outlives this task, or nobody is interested any more.
        let _ = messages.send(Message::Event(event));
    };
    tell(Event::ImageStarted {
        image: image.to_owned(),
    });
    let started = Instant::now();
    let last = Mutex::new(started);
    let progress = |progress| match progress {
        ImageProgress::Warning(message) => tell(Event::Warning { message }),
        ImageProgress::Received { bytes, total } => {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= PROGRESS_INTERVAL {
                *last = Instant::now();
                queue.push_progress(image, bytes, total);
            }
        }
    };
    let prepared = backend.prepare(image, &progress).await?;
    tell(Event::ImageReady {
        image: image.to_owned(),
        digest: prepared.digest.clone(),
        pulled_bytes: prepared.pulled_bytes,
        duration_ms: milliseconds(started.elapsed()),
    });
    Ok(Arc::new(prepared))
}
