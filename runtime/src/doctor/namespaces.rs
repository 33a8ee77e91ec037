//! Whether the kernel and its security modules let this user have a user namespace.

use super::{Check, Machine};

const LIMIT: &str = "user namespaces";
const APPARMOR: &str = "AppArmor";

/// The kernel's own switches.
pub(super) fn limit(machine: &Machine<'_>) -> Check {
    if machine
        .read("proc/sys/kernel/unprivileged_userns_clone")
        .as_deref()
        == Some("0")
    {
        return Check::missing(
            LIMIT,
            "switched off by kernel.unprivileged_userns_clone",
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        );
    }
    match machine.read("proc/sys/user/max_user_namespaces") {
        None => Check::missing(
            LIMIT,
            "this kernel has none",
            "use a kernel that is built with CONFIG_USER_NS",
        ),
        Some(limit) if limit == "0" => Check::missing(
            LIMIT,
            "switched off by user.max_user_namespaces = 0",
            "sudo sysctl user.max_user_namespaces=15000",
        ),
        Some(limit) => Check::found(LIMIT, format!("allowed, at most {limit}")),
    }
}

/// Ubuntu's restriction lets an unconfined program make a user namespace and do nothing in it.
pub(super) fn apparmor(machine: &Machine<'_>) -> Check {
    let restricted = machine.read("proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    match restricted.as_deref() {
        Some("1") => Check::missing(
            APPARMOR,
            "restricts unprivileged user namespaces",
            "allow this program in a profile with `userns,`, or: \
             sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        _ => Check::found(APPARMOR, "does not restrict user namespaces"),
    }
}
