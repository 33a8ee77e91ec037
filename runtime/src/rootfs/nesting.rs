//! What a container shows to engines that run containers inside it, beside what every container has.

use std::path::Path;

use super::overlay::filesystem;
use super::{Root, pseudo};
use crate::container::error::During;
use crate::container::{Network, StartError};
use crate::sys::mount_setattr;

/// Where a whole `/proc` and `/sys` are.
const WHOLE: &str = "/run/slipway/nesting";

/// Mounts `/proc` and `/sys` once more, without covers, away from where programs look: the kernel lets a container mount its
/// own only where it sees a whole one already, wherever that is (`mount_too_revealing` of fs/namespace.c). And tells engines
/// which ids they may give away.
pub(super) fn prepare(root: &Root, network: Network) -> Result<(), StartError> {
    let proc = filesystem("proc", &[])?;
    mount_setattr(&proc, pseudo::RESTRICTED).during("restrict proc")?;
    root.mount(&proc, &Path::new(WHOLE).join("proc"))?;
    root.mount(&pseudo::sys(network, "")?, &Path::new(WHOLE).join("sys"))?;
    for (file, map) in [("/etc/subuid", "uid_map"), ("/etc/subgid", "gid_map")] {
        let map = Path::new("/proc/self").join(map);
        let ids = std::fs::read_to_string(&map).during_at("read", &map)?;
        root.write_file(Path::new(file), ranges(&ids).as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Lines of subuid(5): all ids of the container but root's own are root's to give.
fn ranges(map: &str) -> String {
    let counts = map
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(2));
    let total: u64 = counts.filter_map(|count| count.parse::<u64>().ok()).sum();
    match total {
        0 | 1 => String::new(),
        total => format!("root:1:{}\n", total - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ids_but_roots_own_are_roots_to_give() {
        assert_eq!(
            ranges("         0 1879048192      65536\n"),
            "root:1:65535\n"
        );
        assert_eq!(ranges("0 1000 1\n1 100000 65536\n"), "root:1:65536\n");
        assert_eq!(ranges("0 1000 1\n"), "");
    }
}
