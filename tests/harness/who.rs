use std::fs;

use rustix::process::geteuid;

use crate::Skip;

/// The three ways in which a machine lets somebody run containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The agent runs as root.
    Root,
    /// A plain user with ranges in `/etc/subuid` and `/etc/subgid`.
    Subordinate,
    /// A plain user with no id but its own.
    Solo,
}

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Whether the tests run as somebody else and have to change to it.
    pub change: bool,
}

impl Who {
    /// The account that stands for this way.
    ///
    /// # Errors
    /// When the tests' own account cannot act as it.
    pub fn account(self) -> Result<Account, Skip> {
        let uid = geteuid().as_raw();
        if uid == 0 {
            let name = match self {
                Self::Root => "root",
                Self::Subordinate => "slipway-sub",
                Self::Solo => "slipway-solo",
            };
            let missing = || Skip(format!("there is no user {name}: run tests/run once"));
            let mut account = find(|found, _| found == name).ok_or_else(missing)?;
            account.change = self != Self::Root;
            return Ok(account);
        }
        let account = find(|_, found| found == uid)
            .ok_or_else(|| Skip(format!("user {uid} is not in /etc/passwd")))?;
        let own = if has_ranges(&account) {
            Self::Subordinate
        } else {
            Self::Solo
        };
        if self == own {
            Ok(account)
        } else {
            Err(Skip(format!(
                "only root can run this test as {self:?}, and this is {}",
                account.name
            )))
        }
    }
}

fn find(wanted: impl Fn(&str, u32) -> bool) -> Option<Account> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let name = *fields.first()?;
        let uid = fields.get(2)?.parse().ok()?;
        wanted(name, uid).then_some(Account {
            name: name.to_owned(),
            uid,
            gid: fields.get(3)?.parse().ok()?,
            change: false,
        })
    })
}

fn has_ranges(account: &Account) -> bool {
    ["/etc/subuid", "/etc/subgid"].into_iter().all(|file| {
        fs::read_to_string(file)
            .unwrap_or_default()
            .lines()
            .any(|line| {
                line.split(':')
                    .next()
                    .is_some_and(|owner| owner == account.name || owner == account.uid.to_string())
            })
    })
}
