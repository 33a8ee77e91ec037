//! `user[:group]`, resolved against the image's own files and assumed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::error::{During, refused};
use super::{Privileges, StartError};
use crate::userns::Rung;

/// Of `/etc/passwd` and `/etc/group`; what is behind it is not read.
const MAX_FILE: u64 = 1 << 20;
/// Of one user; those behind it in `/etc/group` are left out. The kernel would take 65,536 (NGROUPS_MAX).
const MAX_GROUPS: usize = 1024;

/// Who a command runs as, inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// User id.
    pub(super) uid: u32,
    /// Primary group id.
    pub(super) gid: u32,
    /// Supplementary group ids.
    pub(super) groups: Vec<u32>,
    /// Home directory, `/` where the image does not say.
    pub(super) home: String,
}

/// Resolves a user in the root directory of the calling process.
pub(super) fn resolve(user: Option<&str>) -> Result<Identity, StartError> {
    resolve_in(
        user.unwrap_or("0"),
        &read("/etc/passwd")?,
        &read("/etc/group")?,
    )
}

/// The ids of `user[:group]` in the root directory of the calling process.
pub(crate) fn user_ids(text: &str) -> Result<(u32, u32), StartError> {
    resolve(Some(text)).map(|identity| (identity.uid, identity.gid))
}

/// The home directory of `user[:group]` in an image's list of users; `/` where that does not say.
pub(crate) fn home_of(user: Option<&str>, passwd: &str) -> Result<String, StartError> {
    let user = user.unwrap_or("0");
    let (user, _) = user.split_once(':').unwrap_or((user, ""));
    resolve_in(user, passwd, "").map(|identity| identity.home)
}

fn resolve_in(text: &str, passwd: &str, group: &str) -> Result<Identity, StartError> {
    let (user, explicit_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    // Both parts are read before either is looked up: what is no user at all is told as that.
    let user_number = number(text, user)?;
    let group_number = explicit_group.map(|name| number(text, name)).transpose()?;
    let entry = match user_number {
        Some(uid) => passwd_entries(passwd)
            .find(|entry| entry.uid == uid)
            .unwrap_or(Entry {
                name: "",
                uid,
                gid: 0,
                home: "/",
            }),
        None => passwd_entries(passwd)
            .find(|entry| entry.name == user)
            .ok_or_else(|| no_such("user", user))?,
    };
    let gid = match (explicit_group, group_number.flatten()) {
        (None, _) => entry.gid,
        (Some(_), Some(gid)) => gid,
        (Some(name), None) => group_entries(group)
            .find(|(candidate, ..)| *candidate == name)
            .map(|(_, gid, _)| gid)
            .ok_or_else(|| no_such("group", name))?,
    };
    // As Docker: naming a group asks for that group alone.
    let groups = if explicit_group.is_some() || entry.name.is_empty() {
        Vec::new()
    } else {
        group_entries(group)
            .filter(|(_, _, members)| members.split(',').any(|member| member == entry.name))
            .map(|(_, gid, _)| gid)
            .take(MAX_GROUPS)
            .collect()
    };
    Ok(Identity {
        uid: entry.uid,
        gid,
        groups,
        home: entry.home.to_owned(),
    })
}

impl Identity {
    /// The one that is said outright; only its home is looked for.
    pub(super) fn said(privileges: &Privileges) -> Result<Self, StartError> {
        let Privileges { uid, gid, .. } = *privileges;
        let found = resolve(Some(&format!("{uid}:{gid}")))?;
        Ok(Self {
            groups: privileges.additional_gids.clone(),
            ..found
        })
    }

    /// Makes the calling thread this user. With one id in the namespace, any other user is that id under another name,
    /// in a user namespace of its own.
    pub(super) fn assume(&self, rung: Rung) -> Result<(), StartError> {
        match rung {
            Rung::Single => self.assume_under_another_name(),
            // Container root is the caller, and in the caller's groups, which have no ids here and could not be set
            // again. The image's own groups of its root would add nothing to root's capabilities.
            Rung::Subordinate if self.is_root() && self.groups.is_empty() => self.assume_ids(),
            Rung::Subordinate | Rung::Root => {
                self.assume_groups()?;
                self.assume_ids()
            }
        }
    }

    fn is_root(&self) -> bool {
        (self.uid, self.gid) == (0, 0)
    }

    fn assume_groups(&self) -> Result<(), StartError> {
        let groups: Vec<_> = self.groups.iter().copied().map(Gid::from_raw).collect();
        // When the namespace lacks one of the groups, the user gets none of them; the primary one must exist.
        match rustix::thread::set_thread_groups(&groups) {
            Err(Errno::INVAL) => rustix::thread::set_thread_groups(&[]),
            result => result,
        }
        .during("set the supplementary groups")
    }

    fn assume_ids(&self) -> Result<(), StartError> {
        let gid = Gid::from_raw(self.gid);
        match rustix::thread::set_thread_res_gid(gid, gid, gid) {
            Err(Errno::INVAL) => return Err(unmapped("group", self.gid)),
            result => result.during("set the group id")?,
        }
        let uid = Uid::from_raw(self.uid);
        match rustix::thread::set_thread_res_uid(uid, uid, uid) {
            Err(Errno::INVAL) => Err(unmapped("user", self.uid)),
            result => result.during("set the user id"),
        }
    }

    fn assume_under_another_name(&self) -> Result<(), StartError> {
        if self.is_root() {
            return Ok(());
        }
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)
            .during("make a user namespace for the user")?;
        for (file, id) in [("self/gid_map", self.gid), ("self/uid_map", self.uid)] {
            write_to_proc(file, &format!("{id} 0 1\n")).during_at("write", Path::new(file))?;
        }
        Ok(())
    }
}

/// Writes to a file of the kernel's, and to nothing that was put in its place (CVE-2019-16884, CVE-2025-52881).
pub(super) fn write_to_proc(file: &str, text: &str) -> Result<(), Errno> {
    /// `PROC_SUPER_MAGIC`, statfs(2).
    const PROC: rustix::fs::FsWord = 0x9fa0;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = rustix::fs::open("/proc", flags, Mode::empty())?;
    if rustix::fs::fstatfs(&proc)?.f_type != PROC {
        return Err(Errno::NOTSUP);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat2(&proc, file, flags, Mode::empty(), resolve)?;
    rustix::io::write(&file, text.as_bytes()).map(drop)
}

/// A user or a group that is written as a number; `None` for a name.
fn number(text: &str, part: &str) -> Result<Option<u32>, StartError> {
    let invalid = |reason: &str| StartError::InvalidUser {
        text: text.to_owned(),
        reason: reason.to_owned(),
    };
    if part.is_empty() {
        return Err(invalid("a part is empty"));
    }
    if part.contains([':', '\n', '\0', '/']) {
        return Err(invalid("it has more than `user:group`"));
    }
    if part.starts_with(['-', '+']) {
        return Err(invalid("an id has no sign and a name starts with a letter"));
    }
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match part.parse::<u32>() {
        // (uid_t)-1 means "unchanged" to the kernel.
        Ok(id) if id < u32::MAX => Ok(Some(id)),
        _ => Err(invalid("the id is too large")),
    }
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// passwd(5): `name:password:uid:gid:comment:home:shell`.
fn passwd_entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        Some(Entry {
            name: fields.first().filter(|name| !name.is_empty())?,
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
            home: fields
                .get(5)
                .filter(|home| home.starts_with('/'))
                .unwrap_or(&"/"),
        })
    })
}

/// group(5): `name:password:gid:members`.
fn group_entries(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or("")))
    })
}

fn read(path: &str) -> Result<String, StartError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(String::new()),
        Err(errno) => return Err(unusable(path, errno)),
    };
    // Room for the whole file: it is read in one call.
    let size = file
        .metadata()
        .during_at("stat", Path::new(path))?
        .len()
        .min(MAX_FILE);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| unusable(path, Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the image has there is no list of users: its fault, not the machine's.
fn unusable(path: &str, errno: Errno) -> StartError {
    refused(Path::new(path), "a file of users", errno)
}

fn no_such(what: &str, name: &str) -> StartError {
    StartError::NoSuchUser {
        what: what.to_owned(),
        name: name.to_owned(),
    }
}

fn unmapped(what: &str, id: u32) -> StartError {
    StartError::UnmappedId {
        what: what.to_owned(),
        id,
    }
}

#[cfg(test)]
mod tests;
