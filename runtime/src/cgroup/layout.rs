//! Where control groups are mounted and in which of them this process is: proc_pid_mountinfo(5), proc_pid_cgroup(5).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::Controller;
use crate::rootfs::unescaped;

/// The trees that are mounted here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Version 2.
    pub(crate) unified: Option<Place>,
    /// Version 1: those with a controller that we have a use for.
    pub(crate) legacy: Vec<(Vec<Controller>, Place)>,
}

/// This process's place in one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where the tree, or the part of it that is shown here, is mounted.
    pub(crate) mount: PathBuf,
    /// The directory of the group this process is in: below `mount`, or it.
    pub(crate) own: PathBuf,
}

impl Layout {
    /// Reads the kernel's two tables. `root` is `/`, but for a test.
    pub(crate) fn read(root: &Path) -> Self {
        let table = fs::read(root.join("proc/self/mountinfo")).unwrap_or_default();
        let memberships = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let mut layout = Self::default();
        for mount in table.split(|byte| *byte == b'\n').filter_map(Mount::parse) {
            if mount.kind == b"cgroup2" {
                if layout.unified.is_none() {
                    layout.unified = mount.place(root, &memberships, "");
                }
                continue;
            }
            let options = String::from_utf8_lossy(mount.options).into_owned();
            let controllers = Controller::list(&options, ',');
            let known = layout.legacy.iter().any(|(other, _)| *other == controllers);
            if controllers.is_empty() || known {
                continue;
            }
            let place = options
                .split(',')
                .find_map(|name| mount.place(root, &memberships, name));
            layout
                .legacy
                .extend(place.map(|place| (controllers, place)));
        }
        layout
    }
}

/// A line of `mountinfo` about control groups.
struct Mount<'a> {
    /// The group that is shown at the mount point.
    shown: PathBuf,
    point: PathBuf,
    kind: &'a [u8],
    /// Of the file system: the controllers, on version 1.
    options: &'a [u8],
}

impl<'a> Mount<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescaped(field)));
        let (shown, point) = (path(fields.nth(3)?), path(fields.next()?));
        // Optional fields end with a hyphen.
        let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
        let kind = rest.next()?;
        if ![b"cgroup".as_slice(), b"cgroup2"].contains(&kind) {
            return None;
        }
        Some(Self {
            shown,
            point,
            kind,
            options: rest.nth(1)?,
        })
    }

    /// Where we are in this tree, which the memberships know by `name`; `None` when that is not shown here.
    fn place(&self, root: &Path, memberships: &str, name: &str) -> Option<Place> {
        let own = memberships.lines().find_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (names, path) = line.split_once(':')?;
            names.split(',').any(|one| one == name).then_some(path)
        })?;
        let below = Path::new(own).strip_prefix(&self.shown).ok()?;
        let mount = root.join(self.point.strip_prefix("/").ok()?);
        Some(Place {
            own: mount.join(below),
            mount,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::directory_with;

    fn read(mountinfo: &str, memberships: &str) -> (Layout, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let proc = directory.path().join("proc/self");
        directory_with(&proc, "mountinfo", mountinfo);
        directory_with(&proc, "cgroup", memberships);
        let layout = Layout::read(directory.path());
        (layout, directory.path().to_owned())
    }

    #[test]
    fn one_tree_is_version_2() {
        let (layout, root) = read(
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
            "0::/user.slice/a.scope\n",
        );
        let mount = root.join("sys/fs/cgroup");
        let own = mount.join("user.slice/a.scope");
        assert_eq!(layout.unified, Some(Place { mount, own }));
        assert_eq!(layout.legacy, []);
    }

    #[test]
    fn each_tree_of_version_1_has_a_place_of_its_own_and_odd_mounts_are_found() {
        let (layout, root) = read(
            "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
             32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             35 31 0:32 /docker/abc /odd\\040place rw - cgroup cgroup rw,memory\n\
             36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
             39 31 0:36 /elsewhere /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            "8:pids:/\n4:memory:/docker/abc/me\n2:cpu,cpuacct:/x\n1:name=systemd:/\n0::/\n",
        );
        let cpu = root.join("sys/fs/cgroup/cpu,cpuacct");
        let memory = root.join("odd place");
        assert_eq!(
            layout.legacy,
            [
                (
                    vec![Controller::Cpu, Controller::Cpuacct],
                    Place {
                        own: cpu.join("x"),
                        mount: cpu
                    }
                ),
                (
                    vec![Controller::Memory],
                    Place {
                        own: memory.join("me"),
                        mount: memory
                    }
                ),
            ]
        );
        assert!(layout.unified.is_some());
    }

    #[test]
    fn nothing_mounted_is_an_empty_layout() {
        assert_eq!(read("", "0::/\n").0, Layout::default());
    }
}
