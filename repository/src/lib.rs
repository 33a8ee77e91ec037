//! Git for the server and for agents: what a pipeline is at, fetched once and written down without being trusted.
//!
//! ```text
//! Url (parsed strictly) + Credentials --> Remote
//! Mirrors (a directory, a Transport)
//!   Mirrors::resolve(remote, "main")        --> Resolved          a name becomes a commit, which is then here
//!   Mirrors::fetch(remote, want, watch)     --> Mirror            one bare repository a URL, under a lock
//!     Mirror::read_file(commit, path, most) --> bytes             the server's way to `.pipeline.yml`
//!     Mirror::check_out(commit, directory)  --> CheckedOut        the agent's way to a working tree
//! ```
//!
//! Nothing is asked of a host in this process: see [`Transport`]. Everything blocks: callers of an async runtime use its
//! blocking threads. A [`Watch`] hears of progress and ends a transfer. No hook, filter, attribute or configuration of a repository is ever heeded.
//!
//! git2 (libgit2) was chosen over the `git` command so that a machine needs none. What it lacks: partial clones, SHA-256
//! repositories, shallow clones of local paths.

mod checkout;
mod commit;
mod credentials;
mod error;
mod fetch;
mod host;
mod known_hosts;
mod lfs;
mod mirror;
mod name;
mod pattern;
mod place;
mod private;
mod prune;
mod read;
mod remote;
mod resolve;
mod submodule;
mod transfer;
mod transport;
mod upkeep;
mod url;
mod watch;

pub use checkout::{CheckedOut, Limits};
pub use commit::{Commit, InvalidCommit};
pub use credentials::{Credentials, Secret};
pub use error::Error;
pub use fetch::Want;
pub use host::{Host, Unreadable};
pub use known_hosts::{InvalidKnownHosts, KnownHosts};
pub use mirror::{Mirror, Mirrors};
pub use pattern::{Pattern, PatternError};
pub use private::{CheckError, Group, Private, PrivateError};
pub use prune::Keep;
pub use remote::Remote;
pub use resolve::Resolved;
pub use transport::{Bounds, Transport, serve as serve_transport};
pub use url::{Allowed, Scheme, Url, UrlError, identity};
pub use watch::{Unwatched, Watch};
