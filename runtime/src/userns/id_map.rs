use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// A run of ids, as one line of `/proc/PID/uid_map` (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First id inside the namespace.
    pub inside: u32,
    /// First id outside, in the namespace of the agent.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// How privileged the agent is where ids are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// The agent may map any id and writes the maps itself.
    Root,
    /// A plain user with ranges in `/etc/subuid` and `/etc/subgid`, mapped by `newuidmap(1)`.
    Subordinate,
    /// A plain user with no id but its own.
    Single,
}

impl Rung {
    /// The word for it on a command line.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Self::Root => c"root",
            Self::Subordinate => c"subordinate",
            Self::Single => c"single",
        }
    }

    /// The rung that a word of a command line stands for.
    pub(crate) fn named(name: &OsStr) -> Option<Self> {
        [Self::Root, Self::Subordinate, Self::Single]
            .into_iter()
            .find(|rung| rung.name().to_bytes() == name.as_bytes())
    }
}

/// Which ids exist in the user namespace and what they are outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    /// How it is installed.
    pub rung: Rung,
    /// For users, in order of `inside`.
    pub users: Vec<Extent>,
    /// For groups, in order of `inside`.
    pub groups: Vec<Extent>,
}

impl IdMap {
    /// Only the caller, as container root.
    #[must_use]
    pub fn single(uid: u32, gid: u32) -> Self {
        let only = |outside| {
            vec![Extent {
                inside: 0,
                outside,
                count: 1,
            }]
        };
        Self {
            rung: Rung::Single,
            users: only(uid),
            groups: only(gid),
        }
    }

    /// The ids that container root has outside, `(user, group)`.
    #[must_use]
    pub fn root_outside(&self) -> (u32, u32) {
        let first = |extents: &[Extent]| extents.first().map_or(0, |extent| extent.outside);
        (first(&self.users), first(&self.groups))
    }

    /// Whether this id inside stands for one outside.
    #[must_use]
    pub fn has_user(&self, id: u32) -> bool {
        contains(&self.users, id)
    }

    /// Whether this id inside stands for one outside.
    #[must_use]
    pub fn has_group(&self, id: u32) -> bool {
        contains(&self.groups, id)
    }

    /// A name for a directory whose files were made under this map; other maps must not use it.
    #[must_use]
    pub fn key(&self) -> String {
        let part = |extents: &[Extent]| {
            let runs: Vec<_> = extents.iter().map(Extent::key).collect();
            runs.join("+")
        };
        let (users, groups) = (part(&self.users), part(&self.groups));
        if users == groups {
            users
        } else {
            format!("{users}_{groups}")
        }
    }
}

impl Extent {
    fn key(&self) -> String {
        format!("{}x{}", self.outside, self.count)
    }

    pub(super) const fn end_inside(&self) -> u64 {
        self.inside as u64 + self.count as u64
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.inside, self.outside, self.count)
    }
}

/// Lines as the kernel reads them from `/proc/PID/uid_map`.
pub(super) fn lines(extents: &[Extent]) -> String {
    let mut text = String::new();
    for extent in extents {
        text.push_str(&extent.to_string());
        text.push('\n');
    }
    text
}

fn contains(extents: &[Extent], id: u32) -> bool {
    extents
        .iter()
        .any(|extent| id >= extent.inside && u64::from(id) < extent.end_inside())
}
