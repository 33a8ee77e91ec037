//! `agent oci` as its callers see it.
//!
//! Most cases are those by which others judge OCI runtimes, transcribed: `validation/` of opencontainers/runtime-tools
//! (commit 5e63903; copyright the runtime-tools authors, Apache License 2.0) and, where that has nothing, `tests/contest` of
//! youki-dev/youki (commit bc78720; copyright the youki authors, Apache License 2.0). `docs/oci.md` has the table of both
//! suites, with the test here that stands for each case.

mod bundle;
mod documentation;
mod hooks;
mod lifecycle;
mod mounts;
mod namespaces;
mod podman;
mod process;
mod refused;
mod terminal;

use bundle::Bundle;
