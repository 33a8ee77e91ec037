//! Which rung this process can reach.

use std::io;
use std::path::{Path, PathBuf};

use rustix::thread::CapabilitySet;

use super::subid::ranges;
use super::{Extent, IdMap, Rung};

/// Where container ids start for an agent that runs as root: above systemd's dynamic and container ranges and below
/// its foreign range (systemd's `UIDS-GIDS.md` lists 1879048192 to 2147352575 as unused), so that no user has them.
const ROOT_BASE: u32 = 0x7000_0000;
/// Ids a container gets: what images are made with.
const COUNT: u32 = 65_536;

/// Why the ids could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// A file of the kernel's or of shadow-utils' cannot be read.
    #[error("read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Chooses the map for this process, from its privileges and the machine's files.
///
/// # Errors
/// When `/proc/self/uid_map` cannot be read.
pub fn detect() -> Result<IdMap, DetectError> {
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    if uid == 0 && may_map_ids() {
        let users = available(Path::new("/proc/self/uid_map"))?;
        let groups = available(Path::new("/proc/self/gid_map"))?;
        if !has(CapabilitySet::SYS_ADMIN) {
            return Ok(nested(&users, &groups));
        }
        if let (Some(users), Some(groups)) = (root_range(&users), root_range(&groups)) {
            return Ok(IdMap {
                rung: Rung::Root,
                users: vec![users],
                groups: vec![groups],
            });
        }
    }
    let name = nix::unistd::User::from_uid(uid.into())
        .ok()
        .flatten()
        .map(|user| user.name);
    let subordinate = |file: &str, own: u32| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut extents = ranges(&text, name.as_deref(), uid);
        if extents.is_empty() {
            return None;
        }
        extents.insert(
            0,
            Extent {
                inside: 0,
                outside: own,
                count: 1,
            },
        );
        Some(extents)
    };
    match (
        subordinate("/etc/subuid", uid),
        subordinate("/etc/subgid", gid),
    ) {
        (Some(users), Some(groups))
            if helper("newuidmap").is_some() && helper("newgidmap").is_some() =>
        {
            Ok(IdMap {
                rung: Rung::Subordinate,
                users,
                groups,
            })
        }
        _ => Ok(IdMap::single(uid, gid)),
    }
}

/// All ids of the user namespace this process is root of, as they are, unless it is the machine's own: the ids that an engine
/// without privileges gives its containers, in whose files they are written already.
///
/// # Errors
/// When `/proc/self/uid_map` cannot be read.
pub fn inherited() -> Result<Option<IdMap>, DetectError> {
    let users = available(Path::new("/proc/self/uid_map"))?;
    let groups = available(Path::new("/proc/self/gid_map"))?;
    let is_the_machines = users.iter().any(|extent| extent.count == u32::MAX);
    let is_root = rustix::process::geteuid().is_root() && may_map_ids();
    Ok((is_root && !is_the_machines).then(|| nested(&users, &groups)))
}

/// Whether this process may write maps of other ids than its own by itself.
pub(super) fn may_map_ids() -> bool {
    has(CapabilitySet::SETUID | CapabilitySet::SETGID)
}

fn has(wanted: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(wanted))
}

/// For root of a container, who may map ids and mount nothing: everything there is, as it is. Containers in there have this
/// root as theirs, as a plain user's have that user.
fn nested(users: &[Extent], groups: &[Extent]) -> IdMap {
    let as_it_is = |extents: &[Extent]| {
        let extents = extents.iter().map(|extent| Extent {
            outside: extent.inside,
            ..*extent
        });
        extents.collect::<Vec<_>>()
    };
    let (users, groups) = (as_it_is(users), as_it_is(groups));
    let total = |extents: &[Extent]| extents.iter().map(|extent| u64::from(extent.count)).sum();
    if u64::min(total(&users), total(&groups)) <= 1 {
        return IdMap::single(0, 0);
    }
    IdMap {
        rung: Rung::Subordinate,
        users,
        groups,
    }
}

/// Finds one of shadow-utils' set-user-id helpers.
pub(crate) fn helper(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/bin")])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// The ids that exist in the namespace we are in ourselves.
fn available(path: &Path) -> Result<Vec<Extent>, DetectError> {
    let text = std::fs::read_to_string(path).map_err(|source| DetectError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.lines().filter_map(parse_line).collect())
}

fn parse_line(line: &str) -> Option<Extent> {
    let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    Some(Extent {
        inside: next()?,
        outside: next()?,
        count: next()?,
    })
}

/// A range for containers that leaves out our own root: the fixed base on a host, the ids from 1 up in a container.
fn root_range(available: &[Extent]) -> Option<Extent> {
    let holds = |first: u32, count: u32| {
        available.iter().any(|extent| {
            extent.inside <= first && u64::from(first) + u64::from(count) <= extent.end_inside()
        })
    };
    let range = |outside, count| Extent {
        inside: 0,
        outside,
        count,
    };
    if holds(ROOT_BASE, COUNT) {
        return Some(range(ROOT_BASE, COUNT));
    }
    available
        .iter()
        .filter(|extent| extent.end_inside() > 2)
        .map(|extent| {
            let first = extent.inside.max(1);
            let room = extent.end_inside() - u64::from(first);
            range(first, u32::try_from(room).unwrap_or(u32::MAX).min(COUNT))
        })
        .max_by_key(|extent| extent.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extents(lines: &str) -> Vec<Extent> {
        lines.lines().filter_map(parse_line).collect()
    }

    #[test]
    fn root_of_a_host_maps_a_range_that_no_user_has() {
        let range = root_range(&extents("0 0 4294967295")).unwrap();
        assert_eq!(
            (range.inside, range.outside, range.count),
            (0, ROOT_BASE, COUNT)
        );
    }

    #[test]
    fn root_of_an_outer_container_maps_everything_but_itself() {
        let range = root_range(&extents("0 1000 1\n1 100000 65536")).unwrap();
        assert_eq!((range.inside, range.outside, range.count), (0, 1, 65_536));
    }

    #[test]
    fn root_of_a_container_that_may_not_mount_maps_everything_as_it_is() {
        let all = extents("0 1000 1\n1 100000 65536");
        let map = nested(&all, &all);
        assert_eq!(map.rung, Rung::Subordinate);
        assert_eq!(map.root_outside(), (0, 0));
        assert_eq!(map.users, extents("0 0 1\n1 1 65536"));
        let one = extents("0 1000 1");
        assert_eq!(nested(&one, &one), IdMap::single(0, 0));
    }

    #[test]
    fn root_of_a_namespace_with_one_id_has_no_range_to_give() {
        assert_eq!(root_range(&extents("0 1000 1")), None);
    }
}
