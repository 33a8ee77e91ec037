//! Which ids containers get.

use super::Check;
use crate::userns::{IdMap, Rung, helper};

const NAME: &str = "container ids";

pub(super) fn check(map: &IdMap) -> Check {
    let count: u64 = map.users.iter().map(|extent| u64::from(extent.count)).sum();
    let (root, _) = map.root_outside();
    match map.rung {
        Rung::Root => Check::found(
            NAME,
            format!("{count}, container root is user {root} of this machine"),
        ),
        Rung::Subordinate => Check::found(
            NAME,
            format!("{count} from /etc/subuid and newuidmap, container root is you"),
        ),
        Rung::Single => {
            let missing = if helper("newuidmap").is_none() {
                "newuidmap is not installed"
            } else {
                "you have no range in /etc/subuid and /etc/subgid"
            };
            Check::limited(
                NAME,
                format!("only your own, container root is you: {missing}"),
                "install uidmap (Debian) or shadow-utils, then: \
                 sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
            )
        }
    }
}
