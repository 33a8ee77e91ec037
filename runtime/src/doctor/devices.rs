//! Device nodes that containers or their networks use.

use std::os::unix::fs::FileTypeExt;

use rustix::fs::{Access, access};

use super::{Check, Machine};

pub(super) fn check(machine: &Machine<'_>) -> Vec<Check> {
    vec![tun(machine)]
}

/// A network of its own needs a TUN device inside the user namespace, where the node's permissions count.
fn tun(machine: &Machine<'_>) -> Check {
    const NAME: &str = "TUN";
    let path = machine.root.join("dev/net/tun");
    let node = std::fs::metadata(&path).is_ok_and(|meta| meta.file_type().is_char_device());
    if !node {
        Check::limited(
            NAME,
            "there is no /dev/net/tun: private networks will have no way out",
            "sudo modprobe tun",
        )
    } else if access(&path, Access::READ_OK | Access::WRITE_OK).is_ok() {
        Check::found(NAME, "/dev/net/tun can be opened")
    } else {
        Check::limited(
            NAME,
            "/dev/net/tun cannot be opened: private networks will have no way out",
            "sudo chmod 0666 /dev/net/tun",
        )
    }
}
