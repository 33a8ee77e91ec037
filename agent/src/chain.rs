//! Errors as a user reads them.

use std::error::Error;

/// An error and what caused it, in one line; a cause that its error already spells out is not repeated.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("read the file")]
        Silent(#[source] io::Error),
        #[error("read the file: {0}")]
        Telling(#[source] io::Error),
    }

    #[test]
    fn every_cause_is_told_once() {
        let cause = || io::Error::other("it is gone");
        assert_eq!(chain(&Outer::Silent(cause())), "read the file: it is gone");
        assert_eq!(chain(&Outer::Telling(cause())), "read the file: it is gone");
    }
}
