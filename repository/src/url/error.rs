//! Why a text is no repository's place.

/// Longest URL that is taken, bytes.
pub(super) const LONGEST: usize = 2048;

/// A text that is no repository's place, or none that is allowed. Never shows the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It is empty.
    #[error("the repository's URL is empty")]
    Empty,
    /// It is too long.
    #[error("the repository's URL has more than {LONGEST} bytes")]
    TooLong,
    /// It has spaces or control characters.
    #[error("the repository's URL has a space, a control character or a backslash")]
    Characters,
    /// It would be taken for an option.
    #[error("a repository's URL, its user, host or path do not begin with `-`")]
    Dash,
    /// Not one of ours.
    #[error("the repository's URL has the scheme `{0}`; it may be https, ssh, or user@host:path")]
    Scheme(String),
    /// Neither a URL nor `user@host:path`.
    #[error(
        "the repository's URL has no scheme; write https://host/path, ssh://user@host/path or user@host:path"
    )]
    NoScheme,
    /// `http` to another machine.
    #[error(
        "a repository is not fetched from another machine without encryption (http://); write https://"
    )]
    PlainHttp,
    /// A server of this machine, where none may be.
    #[error("a repository of a server on this machine itself is not allowed here")]
    ThisMachine,
    /// A path, where none may be.
    #[error("a repository in a directory of the machine is not allowed here")]
    File,
    /// A path that is not absolute, or leads up.
    #[error("the repository's path is not absolute, or has `..` in it")]
    Path,
    /// The host makes no sense.
    #[error("the repository's URL has no host, or one that is no host's name")]
    Host,
    /// The port makes no sense.
    #[error("the repository's URL has a port that is not a number from 1 to 65535")]
    Port,
    /// Git has no use for them.
    #[error("the repository's URL has a query or a fragment")]
    Query,
    /// It leads above the root of its host.
    #[error("the relative URL leads out of its host")]
    Relative,
}
