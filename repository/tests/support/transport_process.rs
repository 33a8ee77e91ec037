//! The process of a transfer, for tests; with a directory and a URL somebody who asks for one.
#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a program of tests"
)]

use repository::{Allowed, Mirrors, Remote, Transport, Unwatched, Url};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next() else {
        return repository::serve_transport();
    };
    let transport = Transport::new(|| std::process::Command::new("/proc/self/exe"));
    // Arguments are for everybody to see.
    let url = std::io::read_to_string(std::io::stdin())?;
    let remote = Remote::public(Url::parse(&url, Allowed::default()).unwrap());
    let resolved = Mirrors::new(directory, transport).resolve(&remote, "main", &Unwatched);
    resolved.map(|_| ()).map_err(std::io::Error::other)
}
