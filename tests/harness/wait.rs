//! Waiting for something to become true: a deadline bounds a failure, and a success waits no longer than it must.

use std::time::{Duration, Instant};

/// What anything that should happen at once gets on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer, `None` when there was none in time.
pub fn until<T>(limit: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
