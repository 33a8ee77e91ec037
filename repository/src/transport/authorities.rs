//! Which certificate authorities a child trusts.
//!
//! OpenSSL is built from source and has no idea where this machine keeps them; it is told by its own variables. libgit2 reads
//! the file at its beginning, some ten milliseconds: only a child that may speak TLS is told.

use std::env;
use std::process::Command;

use crate::{Scheme, Url};

const FILE: &str = "SSL_CERT_FILE";
const DIRECTORY: &str = "SSL_CERT_DIR";

/// Tells the child of a transfer. What this process's user has named is all that counts, as for registries.
pub(super) fn tell(command: &mut Command, url: &Url) {
    // A host may redirect from http to https.
    if !matches!(url.scheme(), Scheme::Https | Scheme::Http) {
        return;
    }
    let mut is_named = false;
    for name in [FILE, DIRECTORY] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
            is_named = true;
        }
    }
    if is_named {
        return;
    }
    let found = openssl_probe::probe();
    if let Some(file) = found.cert_file {
        command.env(FILE, file);
    }
    if let Ok(directories) = env::join_paths(found.cert_dir)
        && !directories.is_empty()
    {
        command.env(DIRECTORY, directories);
    }
}
