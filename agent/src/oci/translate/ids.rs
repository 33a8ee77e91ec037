use runtime::userns::{Extent, IdMap, Rung};

use crate::oci::OciError;
use crate::oci::config::{IdMapping, Linux};

/// Lines that the kernel takes (user_namespaces(7)).
const MOST: usize = 340;

/// The ids a bundle asks for, or those of the engine whose user namespace we are in; `None` is those that the machine gives to
/// containers.
pub(super) fn map(linux: &Linux, has_user: bool) -> Result<Option<IdMap>, OciError> {
    let lists = [
        ("linux.uidMappings", &linux.uid_mappings),
        ("linux.gidMappings", &linux.gid_mappings),
    ];
    if lists.iter().all(|(_, list)| list.is_empty()) {
        return runtime::userns::inherited().map_err(|error| OciError::Spawn(error.into()));
    }
    if !has_user {
        return Err(OciError::field(
            "linux.uidMappings",
            "ids are mapped in a `user` namespace alone, and linux.namespaces has none",
        ));
    }
    let is_root = rustix::process::geteuid().is_root();
    let [users, groups] = lists.map(|(field, list)| extents(field, list, is_root));
    let (users, groups) = (users?, groups?);
    let single = |extents: &[Extent]| matches!(extents, [only] if only.count == 1);
    let rung = if is_root {
        Rung::Root
    } else if single(&users) && single(&groups) {
        Rung::Single
    } else {
        Rung::Subordinate
    };
    Ok(Some(IdMap {
        rung,
        users,
        groups,
    }))
}

fn extents(field: &str, list: &[IdMapping], is_root: bool) -> Result<Vec<Extent>, OciError> {
    let wrong = |problem: &str| Err(OciError::field(field, problem));
    if list.len() > MOST {
        return wrong("the kernel takes 340 of them");
    }
    let mut extents: Vec<_> = list
        .iter()
        .map(|mapping| Extent {
            inside: mapping.container_id,
            outside: mapping.host_id,
            count: mapping.size,
        })
        .collect();
    extents.sort_by_key(|extent| extent.inside);
    if extents.first().is_none_or(|first| first.inside != 0) {
        return wrong("there is none for the container's id 0");
    }
    let is_sound = |extent: &Extent| {
        let fits = |first: u32| first.checked_add(extent.count).is_some();
        extent.count > 0 && fits(extent.inside) && fits(extent.outside)
    };
    if !extents.iter().all(is_sound) {
        return wrong("a size is 0, or larger than the ids there are");
    }
    if is_root && extents.iter().any(|extent| extent.outside == 0) {
        return wrong("a container never has this machine's id 0");
    }
    Ok(extents)
}
