//! What must not be shown: secrets and all forms they take in output.
//!
//! ```text
//! values --forms--> patterns --Masks (one for the run; grows)--> Masker (one for a stream), text of events
//! ```
//! A value is masked in the output of every step from the moment it is known. What is held back of a stream is only what
//! could be the beginning of something to be masked.

mod file;
mod forms;
mod masker;
mod patterns;

pub use file::MaskFile;
pub use masker::Masker;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use patterns::Patterns;
use protocol::{Cause, Event, Skip};

/// Stands where something was.
const MARK: &[u8] = b"***";

/// Fewest bytes of a value that is masked: shorter ones are in every text.
pub const SHORTEST: usize = 4;

/// Bytes of all forms of all values that a run masks.
const MOST_BYTES: usize = 8 << 20;

/// Why a value is not masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMasked {
    /// It is in every text.
    #[error("a value has fewer than {SHORTEST} bytes and is shown")]
    TooShort,
    /// There are too many already.
    #[error("there is more to mask than fits, and the last values are shown")]
    TooMuch,
}

/// Everything that is masked in a run.
#[derive(Debug, Default)]
pub struct Masks {
    current: Mutex<Arc<Patterns>>,
    /// Counts the changes, so that a stream need not take the lock to see that there was none.
    generation: AtomicU64,
}

impl Masks {
    /// Masks these values from now on.
    ///
    /// # Errors
    /// There is one that is not masked; the others are.
    pub fn add<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> Result<(), NotMasked> {
        let mut outcome = Ok(());
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut forms = Vec::new();
        for value in values {
            if value.len() < SHORTEST {
                outcome = Err(NotMasked::TooShort);
            } else {
                forms.extend(forms::of(value));
            }
        }
        let Some(more) = current.with(forms) else {
            return outcome;
        };
        if more.bytes() > MOST_BYTES {
            return Err(NotMasked::TooMuch);
        }
        *current = Arc::new(more);
        self.generation.fetch_add(1, Ordering::Release);
        outcome
    }

    /// A text as it may be shown.
    #[must_use]
    pub fn text(self: &Arc<Self>, text: String) -> String {
        let mut masker = Masker::new(Arc::clone(self));
        if masker.is_transparent() {
            return text;
        }
        let mut shown = masker.feed(text.as_bytes());
        shown.extend(masker.finish());
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// A cause as it may be shown.
    #[must_use]
    pub fn cause(self: &Arc<Self>, mut cause: Cause) -> Cause {
        if let Some(text) = text_of(&mut cause) {
            *text = self.text(std::mem::take(text));
        }
        cause
    }

    /// An event as it may be shown: what a step's outputs may have got into.
    #[must_use]
    pub fn event(self: &Arc<Self>, mut event: Event) -> Event {
        if self.generation.load(Ordering::Acquire) == 0 {
            return event;
        }
        let hide = |text: &mut String| *text = self.text(std::mem::take(text));
        match &mut event {
            Event::Warning { message } => hide(message),
            Event::StepStarted { image, .. }
            | Event::ServiceStarted { image, .. }
            | Event::ImageStarted { image, .. }
            | Event::ImageReady { image, .. } => hide(image),
            Event::StepFinished { cause, .. }
            | Event::StepRetrying { cause, .. }
            | Event::ServiceFinished { cause, .. }
            | Event::JobFinished { cause, .. } => {
                if let Some(text) = cause.as_mut().and_then(text_of) {
                    hide(text);
                }
            }
            Event::NetworkReached { host, .. } => hide(host),
            Event::CacheRestored { key, found, .. } => {
                hide(key);
                found.iter_mut().for_each(hide);
            }
            Event::CacheMissed { key, .. } | Event::CacheSaved { key, .. } => hide(key),
            Event::ArtifactKept { artifact, path, .. } => {
                hide(artifact);
                path.iter_mut().for_each(hide);
            }
            Event::NetworkRefused { host, reason, .. } => {
                hide(host);
                hide(reason);
            }
            _ => {}
        }
        event
    }

    /// Everything that is looked for.
    #[must_use]
    pub fn patterns(&self) -> Vec<Vec<u8>> {
        self.current().all().to_vec()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn current(&self) -> Arc<Patterns> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

/// What of a cause may hold anything.
fn text_of(cause: &mut Cause) -> Option<&mut String> {
    match cause {
        Cause::Start { message }
        | Cause::Image { message }
        | Cause::Output { message }
        | Cause::Artifact { message, .. }
        | Cause::Internal { message }
        | Cause::Skipped(Skip::Condition { condition: message }) => Some(message),
        Cause::NotReady { last, .. } => last.as_mut(),
        Cause::Service { why, .. } => text_of(why),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_become_of_a_service_is_masked_wherever_it_is_told() {
        let masks = Arc::new(Masks::default());
        masks.add([b"correct horse".as_slice()]).unwrap();
        let cause = Cause::Service {
            service: "db".to_owned(),
            why: Box::new(Cause::NotReady {
                limit_ms: 1,
                last: Some("no correct horse".to_owned()),
            }),
        };
        let event = Event::StepFinished {
            job: "main".to_owned(),
            step: "build".to_owned(),
            conclusion: protocol::Conclusion::Failure,
            cause: Some(cause),
            allowed: false,
            duration_ms: 0,
            usage: None,
        };
        let told = format!("{:?}", masks.event(event));
        assert!(told.contains("no ***"), "{told}");
        let refused = Event::NetworkRefused {
            job: "main".to_owned(),
            step: "build".to_owned(),
            host: "correct horse.example.org".to_owned(),
            port: 0,
            protocol: protocol::Protocol::Dns,
            reason: "it is not in `allow`".to_owned(),
        };
        let told = format!("{:?}", masks.event(refused));
        assert!(told.contains("***.example.org"), "{told}");
    }
}
