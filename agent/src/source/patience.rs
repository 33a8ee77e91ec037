//! What a person hears who waits for a server that is full or away, and for how long.
//!
//! ```text
//! well --a call fails--> in trouble (told once, for all calls together) --a call succeeds--> well (told, where trouble was)
//!                            '--the patience is over--> the call fails for good
//! ```

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::CallError;

/// Trouble that is over sooner is worth no word: a server that is started anew is back by then.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// How long calls to a server are made again, and who hears of it. Clones are one.
#[derive(Clone)]
pub struct Patience(Arc<Inner>);

struct Inner {
    /// `None`: there is no end of it.
    most: Option<Duration>,
    tell: fn(&str),
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many calls are in trouble.
    troubled: usize,
    /// Somebody was told.
    told: bool,
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patience").field(&self.0.most).finish()
    }
}

impl Patience {
    /// For each call in trouble at most so long; `tell` passes on what there is to say.
    #[must_use]
    pub fn new(most: Duration, tell: fn(&str)) -> Self {
        Self::of(Some(most), tell)
    }

    /// For as long as it takes.
    #[must_use]
    pub fn endless(tell: fn(&str)) -> Self {
        Self::of(None, tell)
    }

    fn of(most: Option<Duration>, tell: fn(&str)) -> Self {
        Self(Arc::new(Inner {
            most,
            tell,
            state: Mutex::default(),
        }))
    }

    /// Whether a call is in trouble.
    pub(super) fn is_tried(&self) -> bool {
        self.0.lock().troubled > 0
    }
}

/// The trouble of one call, or of something that is followed. Without a [`Patience`] it says nothing and has no end.
#[derive(Debug)]
pub(super) struct Trouble {
    patience: Option<Patience>,
    since: Option<(Instant, Timestamp)>,
}

impl Trouble {
    pub(super) const fn new(patience: Option<Patience>) -> Self {
        Self {
            patience,
            since: None,
        }
    }

    /// An attempt failed and another one is due after `wait`: how long to wait for it, which is no longer than the patience.
    ///
    /// # Errors
    /// [`CallError::Lasting`] when that is over.
    pub(super) fn failed(
        &mut self,
        error: CallError,
        wait: Duration,
    ) -> Result<Duration, CallError> {
        let Some(Patience(inner)) = &self.patience else {
            return Ok(wait);
        };
        let (begin, at) = match self.since {
            Some(since) => since,
            None => {
                inner.lock().troubled += 1;
                *self.since.insert((Instant::now(), Timestamp::now()))
            }
        };
        let left = inner.most.map(|most| most.saturating_sub(begin.elapsed()));
        if let (Some(patience), Some(Duration::ZERO)) = (inner.most, left) {
            return Err(CallError::Lasting {
                patience,
                source: Box::new(error),
            });
        }
        // Who is told to come again later hears why.
        let is_worth_a_word = error.after().is_some_and(|after| after >= WORTH_A_WORD);
        if is_worth_a_word || begin.elapsed() >= WORTH_A_WORD {
            let mut state = inner.lock();
            if !std::mem::replace(&mut state.told, true) {
                drop(state);
                let what = match &error {
                    CallError::Refused { status: 429, .. } => "is full",
                    CallError::Refused { .. } => "is unavailable",
                    _ => "is away",
                };
                let most = inner.most.map(humantime::format_duration);
                let most = most
                    .map(|most| format!(", for {most} at most"))
                    .unwrap_or_default();
                let hint = match (inner.most, error.hint()) {
                    // Who has an end to wait for hears it there.
                    (None, Some(hint)) => format!("\nhelp: {hint}"),
                    _ => String::new(),
                };
                (inner.tell)(&format!(
                    "warning: the server {what} since {at:.0}: {error}; it is asked again{most}{hint}"
                ));
            }
        }
        Ok(left.map_or(wait, |left| wait.min(left)))
    }

    /// An attempt went well.
    pub(super) fn over(&mut self) {
        let Some(Patience(inner)) = &self.patience else {
            return;
        };
        let was_in_trouble = self.since.take().is_some();
        let mut state = inner.lock();
        if was_in_trouble {
            state.troubled = state.troubled.saturating_sub(1);
        }
        if state.troubled == 0 && std::mem::take(&mut state.told) {
            drop(state);
            (inner.tell)("the server answers again");
        }
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        if let (Some(Patience(inner)), Some(_)) = (&self.patience, self.since) {
            let mut state = inner.lock();
            state.troubled = state.troubled.saturating_sub(1);
        }
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use protocol::service::{Problem, ProblemCode};

    use super::*;

    thread_local! {
        static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn hear(text: &str) {
        SAID.with_borrow_mut(|said| said.push(text.to_owned()));
    }

    fn full() -> CallError {
        CallError::Refused {
            status: 429,
            problem: Box::new(Problem::new(ProblemCode::RateLimited, "as many as may be")),
            after: Some(Duration::from_secs(5)),
        }
    }

    fn away() -> CallError {
        CallError::Unreachable {
            server: "http://here".to_owned(),
            why: "refused".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_told_once_and_again_when_it_comes_again() {
        let patience = Patience::new(Duration::from_secs(60), hear);
        let second = Duration::from_secs(1);
        let mut one = Trouble::new(Some(patience.clone()));
        let mut other = Trouble::new(Some(patience.clone()));
        assert_eq!(one.failed(full(), second).unwrap(), second);
        assert_eq!(other.failed(full(), second).unwrap(), second);
        tokio::time::advance(second).await;
        assert!(one.failed(full(), second).is_ok());
        // One that goes well while another does not is no end of it.
        one.over();
        Trouble::new(Some(patience.clone())).over();
        other.over();
        let said = SAID.take();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("warning: the server is full since "));
        assert!(said[0].ends_with("Z: as many as may be; it is asked again, for 1m at most"));
        assert_eq!(said[1], "the server answers again");
        // A moment without a server is no news; what stays away is.
        assert!(one.failed(away(), second).is_ok());
        one.over();
        assert!(SAID.take().is_empty());
        assert!(one.failed(away(), second).is_ok());
        tokio::time::advance(second * 2).await;
        assert!(one.failed(away(), second).is_ok());
        assert!(SAID.take()[0].starts_with("warning: the server is away since "));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_without_an_end_hears_what_there_is_to_do() {
        let mut trouble = Trouble::new(Some(Patience::endless(hear)));
        let hour = Duration::from_secs(3_600);
        for _ in 0..1_000 {
            assert_eq!(trouble.failed(away(), hour).unwrap(), hour);
            tokio::time::advance(hour).await;
        }
        let said = SAID.take();
        assert_eq!(said.len(), 1, "{said:?}");
        let end = "refused; it is asked again\nhelp: is the address right (--server, SLIPWAY_SERVER), and does the server run?";
        assert!(said[0].ends_with(end), "{said:?}");
        trouble.over();
        assert_eq!(SAID.take(), ["the server answers again"]);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_and_waits_are_no_longer_than_it() {
        let patience = Patience::new(Duration::from_secs(3), hear);
        let mut trouble = Trouble::new(Some(patience));
        let wait = Duration::from_secs(5);
        assert_eq!(
            trouble.failed(full(), wait).unwrap(),
            Duration::from_secs(3)
        );
        tokio::time::advance(Duration::from_secs(3)).await;
        let error = trouble.failed(full(), wait).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server gave no answer for 3s: as many as may be"
        );
        assert!(!error.is_worth_another_attempt());
        let mut endless = Trouble::new(None);
        assert_eq!(endless.failed(full(), wait).unwrap(), wait);
    }
}
