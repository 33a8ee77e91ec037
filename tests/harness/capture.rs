use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A stream that is read as it comes.
#[derive(Debug)]
pub(crate) struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    closed: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Capture {
    pub(crate) fn of(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new(AtomicBool::new(false));
        let (shared, told) = (Arc::clone(&bytes), Arc::clone(&closed));
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            // A terminal ends with an error, when the last program on it has closed it (EIO).
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..read]);
            }
        });
        Self {
            bytes,
            closed,
            reader,
        }
    }

    pub(crate) fn so_far(&self) -> Vec<u8> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stops reading and closes our end, once there is more to read.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether everything has come that will.
    pub(crate) fn is_over(&self) -> bool {
        self.reader.is_finished()
    }
}
