//! Landlock (landlock(7)): what a process gives up by its own will, whatever it may be talked into later.
//!
//! Kernels before 5.13, or that were started without it, have none; newer ones know more of it. What there is, is used.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope,
};

use super::Defence;
use crate::container::StartError;

/// The newest version that what is handled here was chosen for (Linux 6.12).
const VERSION: ABI = ABI::V6;

/// From here on this process reaches nothing but what is below `directory`, by no path, and no network. What it has
/// open stays open.
///
/// # Errors
/// When the kernel has Landlock and refuses.
pub(crate) fn confine_to(directory: BorrowedFd<'_>) -> Result<(), StartError> {
    confine_to_all(&[directory])
}

/// The same with several directories.
///
/// # Errors
/// When the kernel has Landlock and refuses.
pub(crate) fn confine_to_all(directories: &[BorrowedFd<'_>]) -> Result<(), StartError> {
    if !Defence::WorkerSandbox.is_on() {
        return Ok(());
    }
    let all = AccessFs::from_all(VERSION);
    let confined = Ruleset::default()
        .handle_access(all)
        .and_then(|rules| rules.handle_access(AccessNet::from_all(VERSION)))
        .and_then(|rules| rules.scope(Scope::from_all(VERSION)))
        .and_then(Ruleset::create)
        .and_then(|rules| {
            let mut directories = directories.iter();
            directories.try_fold(rules, |rules, directory| {
                rules.add_rule(PathBeneath::new(directory, all))
            })
        })
        .and_then(|rules| rules.restrict_self());
    confined
        .map(drop)
        .map_err(|error| failed("confine the worker", &error))
}

/// Puts this process, and what it becomes and starts, into a domain of its own. From there it connects to no abstract Unix
/// socket that was made outside, which on the machine's network would be the machine's (CVE-2020-15257), and looks into no
/// process outside, such as the container's init. Nested sandboxes work as without it. Needs `no_new_privs`.
///
/// # Errors
/// When the kernel has Landlock and refuses.
pub(crate) fn enter_domain() -> Result<(), StartError> {
    if !Defence::LandlockDomain.is_on() {
        return Ok(());
    }
    let entered = Ruleset::default()
        .scope(Scope::AbstractUnixSocket)
        .and_then(Ruleset::create)
        .and_then(|rules| rules.no_new_privs(false).restrict_self());
    entered
        .map(drop)
        .map_err(|error| failed("enter a Landlock domain", &error))
}

fn failed(operation: &str, error: &RulesetError) -> StartError {
    StartError::System {
        operation: format!("{operation} ({error})"),
        errno: libc::EACCES,
    }
}
