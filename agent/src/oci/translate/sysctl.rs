use std::collections::BTreeMap;
use std::path::PathBuf;

use super::namespaces::Spaces;
use crate::oci::OciError;

/// Parameters of an IPC namespace (ipc_namespaces(7)).
const OF_IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// Paths below `/proc/sys` and their values: of namespaces alone that are the container's own.
pub(super) fn of(
    all: &BTreeMap<String, String>,
    spaces: &Spaces,
) -> Result<Vec<(PathBuf, String)>, OciError> {
    all.iter()
        .map(|(key, value)| {
            let wrong = |problem: &str| OciError::field(format!("linux.sysctl[{key:?}]"), problem);
            let path = path(key).ok_or_else(|| wrong("it is no parameter's name"))?;
            let own = if path.starts_with("net/") {
                spaces.own_network
            } else if OF_IPC.contains(&path.as_str()) || path.starts_with("fs/mqueue/") {
                !spaces.shared.ipc
            } else {
                return Err(wrong("it is a parameter of the whole machine"));
            };
            if !own {
                return Err(wrong("its namespace is not the container's own"));
            }
            Ok((PathBuf::from(path), value.clone()))
        })
        .collect()
}

/// As sysctl(8): whichever of `.` and `/` comes first divides, and the other one is part of a name.
fn path(key: &str) -> Option<String> {
    let divider = key.chars().find(|c| ['.', '/'].contains(c))?;
    let path = match divider {
        '/' => key.to_owned(),
        _ => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    };
    let is_name = |name: &str| !["", ".", ".."].contains(&name) && !name.contains('\0');
    path.split('/').all(is_name).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn dots_and_slashes_divide_alike_and_lead_nowhere() {
        let found = |key| path(key).unwrap_or_default();
        assert_eq!(found("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(
            found("net/ipv4/conf/eth0.1/forwarding"),
            "net/ipv4/conf/eth0.1/forwarding"
        );
        assert_eq!(
            found("net.ipv4.conf.eth0/1.forwarding"),
            "net/ipv4/conf/eth0.1/forwarding"
        );
        for key in [
            "",
            "net",
            "net..a",
            "net/../kernel/core_pattern",
            "/net/a",
            "net.ipv4/a.//./b",
        ] {
            assert_eq!(path(key), None, "{key}");
        }
    }
}
