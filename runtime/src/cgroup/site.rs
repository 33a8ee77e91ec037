//! Where groups of ours can be made. Looks, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::layout::Place;
use super::{Controller, Layout};

/// Directories in which this process may make groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Site {
    /// Version 1: one in each tree, with what the tree controls.
    One(Vec<(Vec<Controller>, PathBuf)>),
    /// Version 2.
    Two {
        /// The directory.
        parent: PathBuf,
        /// What can be in force below it.
        controllers: Vec<Controller>,
        /// It is the group this process is in, and must be empty before anything is in force below it: this process
        /// has to go to a group below.
        leave: bool,
    },
}

/// Why there is no such directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No tree with a controller is mounted.
    NotMounted,
    /// Nothing that is ours to write to.
    NotDelegated,
    /// It would be this one, if other processes were not in it.
    Occupied(PathBuf),
}

impl Site {
    /// Finds it.
    ///
    /// # Errors
    /// See [`Denied`].
    pub(crate) fn find(layout: &Layout) -> Result<Self, Denied> {
        let unified = match &layout.unified {
            Some(place) => unified(place),
            None => Err(Denied::NotMounted),
        };
        // A tree without controllers stands beside those of version 1 (hybrid), or everything is switched off.
        match unified {
            Ok(Self::Two { controllers, .. })
                if controllers.is_empty() && !layout.legacy.is_empty() => {}
            Ok(site) => return Ok(site),
            Err(denied) if layout.legacy.is_empty() => return Err(denied),
            Err(_) => {}
        }
        let writable: Vec<_> = layout
            .legacy
            .iter()
            .filter(|(_, place)| may(&place.own, Access::WRITE_OK | Access::EXEC_OK))
            .map(|(controllers, place)| (controllers.clone(), place.own.clone()))
            .collect();
        if writable.is_empty() {
            return Err(Denied::NotDelegated);
        }
        Ok(Self::One(writable))
    }
}

/// The nearest group, from our own upwards, that is ours to divide: a process may be only in leaves of what is divided,
/// and in the root of all.
fn unified(place: &Place) -> Result<Site, Denied> {
    let mut denied = Denied::NotDelegated;
    for directory in place.own.ancestors() {
        let procs = directory.join("cgroup.procs");
        let ours =
            may(directory, Access::WRITE_OK | Access::EXEC_OK) && may(&procs, Access::WRITE_OK);
        if !ours || !directory.starts_with(&place.mount) {
            break;
        }
        let is_own = directory == place.own;
        // The root of all groups, not of those a container is shown, has no type.
        let is_root = !directory.join("cgroup.type").exists();
        let others = has_others(&procs);
        if others && !is_root {
            if is_own {
                denied = Denied::Occupied(directory.to_owned());
            }
            continue;
        }
        let list = |file: &str| {
            let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
            Controller::list(&text, ' ')
        };
        // Somebody else's group above ours is taken as it is.
        let controllers = if is_own || is_root {
            list("cgroup.controllers")
        } else {
            list("cgroup.subtree_control")
        };
        if controllers.is_empty() && !is_own && !is_root {
            continue;
        }
        return Ok(Site::Two {
            parent: directory.to_owned(),
            controllers,
            leave: is_own && !is_root,
        });
    }
    Err(denied)
}

/// Whether processes other than this one are in the group.
fn has_others(procs: &Path) -> bool {
    let own = std::process::id().to_string();
    let text = fs::read_to_string(procs).unwrap_or_default();
    text.lines().any(|line| line != own)
}

fn may(path: &Path, what: Access) -> bool {
    access(path, what).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::directory_with;

    /// A tree as version 2 shows it: directories with the controllers they have, those they pass on, and who is in them.
    fn tree(groups: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, controllers, passed_on, processes) in groups {
            let path = root.path().join(path);
            directory_with(&path, "cgroup.controllers", controllers);
            directory_with(&path, "cgroup.subtree_control", passed_on);
            directory_with(&path, "cgroup.procs", processes);
            directory_with(&path, "cgroup.type", "domain\n");
        }
        root
    }

    fn find(root: &tempfile::TempDir, own: &str) -> Result<Site, Denied> {
        let mount = root.path().to_owned();
        let layout = Layout {
            unified: Some(Place {
                own: mount.join(own),
                mount,
            }),
            legacy: Vec::new(),
        };
        Site::find(&layout)
    }

    #[test]
    fn a_group_that_is_ours_alone_is_divided_and_left() {
        let me = format!("{}\n", std::process::id());
        let root = tree(&[("", "", "", ""), ("own", "cpu memory pids\n", "", &me)]);
        assert_eq!(
            find(&root, "own"),
            Ok(Site::Two {
                parent: root.path().join("own"),
                controllers: vec![Controller::Cpu, Controller::Memory, Controller::Pids],
                leave: true,
            })
        );
    }

    #[test]
    fn beside_a_shell_the_slice_above_serves_if_it_passes_controllers_on() {
        let shell = format!("1\n{}\n", std::process::id());
        let root = tree(&[
            ("slice", "cpu memory pids\n", "memory pids\n", ""),
            ("slice/scope", "memory pids\n", "", &shell),
        ]);
        assert_eq!(
            find(&root, "slice/scope"),
            Ok(Site::Two {
                parent: root.path().join("slice"),
                controllers: vec![Controller::Memory, Controller::Pids],
                leave: false,
            })
        );
        let root = tree(&[("", "", "", ""), ("scope", "memory pids\n", "", &shell)]);
        let occupied = root.path().join("scope");
        assert_eq!(find(&root, "scope"), Err(Denied::Occupied(occupied)));
    }

    #[test]
    fn nothing_above_the_mount_point_is_looked_at() {
        let root = tree(&[("mount/own", "memory\n", "", "1\n")]);
        let mount = root.path().join("mount");
        let own = mount.join("own");
        let layout = Layout {
            unified: Some(Place {
                mount,
                own: own.clone(),
            }),
            legacy: Vec::new(),
        };
        assert_eq!(Site::find(&layout), Err(Denied::Occupied(own)));
        assert_eq!(Site::find(&Layout::default()), Err(Denied::NotMounted));
    }

    #[test]
    fn beside_version_1_a_tree_without_controllers_counts_for_nothing() {
        let me = format!("{}\n", std::process::id());
        let root = tree(&[("unified", "hugetlb\n", "", &me), ("memory", "", "", "")]);
        let place = |name: &str| Place {
            mount: root.path().join(name),
            own: root.path().join(name),
        };
        let layout = Layout {
            unified: Some(place("unified")),
            legacy: vec![(vec![Controller::Memory], place("memory"))],
        };
        let memory = (vec![Controller::Memory], root.path().join("memory"));
        assert_eq!(Site::find(&layout), Ok(Site::One(vec![memory])));
    }
}
