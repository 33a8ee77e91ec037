//! How many readers may wait at once: each holds a connection, and what is being sent to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::service::TokenId;

use crate::config::Followers as Most;

/// Those who wait.
#[derive(Debug)]
pub(crate) struct Followers {
    most: Most,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    all: usize,
    by_token: HashMap<TokenId, usize>,
}

/// Why somebody may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Its token waits for as much as one may.
    Token(usize),
    /// The server has no place.
    Server(usize),
}

/// A reader that waits. Dropped, it has gone.
#[derive(Debug)]
pub(crate) struct Place {
    followers: Arc<Followers>,
    token: TokenId,
}

impl Followers {
    pub(crate) fn new(most: Most) -> Self {
        Self {
            most,
            now: Mutex::default(),
        }
    }

    /// Takes a place in the name of a token.
    pub(crate) fn enter(self: &Arc<Self>, token: TokenId) -> Result<Place, Full> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.all >= self.most.all {
            return Err(Full::Server(self.most.all));
        }
        let own = now.by_token.entry(token).or_default();
        if *own >= self.most.each {
            return Err(Full::Token(self.most.each));
        }
        *own += 1;
        now.all += 1;
        Ok(Place {
            followers: Arc::clone(self),
            token,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.followers.now.lock();
        let mut now = now.unwrap_or_else(PoisonError::into_inner);
        now.all -= 1;
        if let Some(own) = now.by_token.get_mut(&self.token) {
            *own -= 1;
            if *own == 0 {
                now.by_token.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_places_and_all_have_the_servers() {
        let most = Most { each: 2, all: 3 };
        let followers = Arc::new(Followers::new(most));
        let (one, two) = (TokenId(1), TokenId(2));
        let first = followers.enter(one).unwrap();
        let _second = followers.enter(one).unwrap();
        assert_eq!(followers.enter(one).unwrap_err(), Full::Token(2));
        let _third = followers.enter(two).unwrap();
        assert_eq!(followers.enter(two).unwrap_err(), Full::Server(3));
        drop(first);
        let _fourth = followers.enter(one).unwrap();
        assert_eq!(followers.enter(one).unwrap_err(), Full::Server(3));
    }
}
