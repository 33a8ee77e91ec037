//! Words of a Dockerfile with their variables, as instructions want them.

use super::words::{Lexer, WordError};

/// Expands words of a Dockerfile under its escape character.
#[derive(Debug, Clone, Copy)]
pub struct Expansion {
    lexer: Lexer,
}

impl Expansion {
    /// Of a file with this escape character.
    #[must_use]
    pub const fn new(escape: char) -> Self {
        Self {
            lexer: Lexer::new(escape),
        }
    }

    /// The text without quotes and escapes, its variables replaced.
    ///
    /// # Errors
    /// See [`WordError`].
    pub fn word(
        &self,
        text: &str,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, WordError> {
        Ok(self.lexer.process(text, variables)?.0)
    }

    /// The same, split at blanks that are not quoted.
    ///
    /// # Errors
    /// See [`WordError`].
    pub fn words(
        &self,
        text: &str,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, WordError> {
        self.lexer.words(text, variables)
    }

    /// The content of a heredoc: quotes are nothing special in it.
    ///
    /// # Errors
    /// See [`WordError`].
    pub fn content(
        &self,
        text: &str,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, WordError> {
        let lexer = Lexer {
            ignores_quotes: true,
            ..self.lexer
        };
        Ok(lexer.process(text, variables)?.0)
    }
}
