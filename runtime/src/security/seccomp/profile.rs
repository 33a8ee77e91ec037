//! Which rule each system call has, for a container with given capabilities.
//!
//! Moby's profile, with three differences, all of them stricter: `ioctl` cannot push input into a terminal, programs
//! of other architectures and of the x32 ABI do not run (moby maps its rules to them), and `int` arguments are
//! compared as the kernel reads them.

use std::collections::BTreeMap;

use super::Options;
use super::action::Action;
use super::arch::FIRST_FOREIGN;
use super::moby;
use super::ranges::Ranges;
use super::rule::{Check, Condition, Rule};
use linux_raw_sys::general::{
    __NR_clone, __NR_clone3, __NR_fsconfig, __NR_fsmount, __NR_fsopen, __NR_fspick, __NR_ioctl,
    __NR_keyctl, __NR_mount, __NR_mount_setattr, __NR_move_mount, __NR_open_tree, __NR_personality,
    __NR_pivot_root, __NR_setdomainname, __NR_sethostname, __NR_setns, __NR_socket, __NR_umount2,
    __NR_unshare,
};
use linux_raw_sys::ioctl::{TIOCLINUX, TIOCSTI};

/// What a call gets that the profile knows, but does not allow.
const REFUSED: Rule = Rule::Answer(Action::NotPermitted);

/// What a call gets that is newer than every call the profile knows. With `EPERM` here, a C library that tries the
/// new call first would fail instead of using the old one. The line is where runc draws it
/// (`libcontainer/seccomp/patchbpf/enosys_linux.go`).
const UNKNOWN: Rule = Rule::Answer(Action::NoSuchCall);

/// `ioctl(2)`: no typing into the terminal (`TIOCSTI`, `TIOCLINUX`), which reaches whoever reads it after the step
/// (CVE-2017-5226). The kernel reads the request as an `unsigned int`.
const IOCTL: Check = Check {
    argument: 1,
    condition: Condition::LowHalfWithin(&[(TIOCSTI, TIOCSTI), (TIOCLINUX, TIOCLINUX)]),
    met: Action::NotPermitted,
    unmet: Action::Allow,
};

/// What an engine needs that makes containers inside this one. All of it takes `CAP_SYS_ADMIN`, which a command has only in
/// a user namespace that it makes. (Such an engine takes a session keyring for something that a kernel may lack: `keyctl`
/// answers so.)
const NESTING: &[u32] = &[
    __NR_clone,
    __NR_clone3,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fsopen,
    __NR_fspick,
    __NR_mount,
    __NR_mount_setattr,
    __NR_move_mount,
    __NR_open_tree,
    __NR_pivot_root,
    __NR_setdomainname,
    __NR_sethostname,
    __NR_setns,
    __NR_umount2,
    __NR_unshare,
];

/// Rules by number, for one set of capabilities.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// Every call that is not simply refused.
    pub(super) rules: BTreeMap<u32, Rule>,
    /// The highest number that the profile knows, allowed or not.
    pub(super) newest: u32,
}

impl Profile {
    /// The rules of a container whose processes can have at most these capabilities.
    pub(super) fn new(options: &Options) -> Self {
        let allow = |number: &u32| (*number, Rule::Answer(Action::Allow));
        let mut rules: BTreeMap<u32, Rule> = moby::ALLOWED
            .iter()
            .chain(moby::ALLOWED_HERE)
            .map(allow)
            .collect();
        rules.extend([
            (__NR_clone, Rule::Check(moby::CLONE)),
            (__NR_clone3, Rule::Answer(Action::NoSuchCall)), // its flags are in memory: no filter can check them
            (__NR_personality, Rule::Check(moby::PERSONALITY)),
            (__NR_socket, Rule::Check(moby::SOCKET)),
        ]);
        for gate in moby::GATES {
            if options.capabilities.contains(gate.capability) {
                rules.extend(gate.numbers.iter().map(allow));
            }
        }
        if options.nesting {
            rules.extend(NESTING.iter().map(allow));
            rules.insert(__NR_keyctl, UNKNOWN);
        }
        rules.insert(__NR_ioctl, Rule::Check(IOCTL));

        let gated = moby::GATES.iter().flat_map(|gate| gate.numbers);
        let newest = rules
            .keys()
            .copied()
            .chain(gated.copied())
            .max()
            .unwrap_or(0);
        Self { rules, newest }
    }

    /// The rule of every number there can be.
    pub(super) fn ranges(&self) -> Ranges<Rule> {
        let mut ranges = Ranges::new(REFUSED);
        let mut next = 0;
        for (&number, &rule) in &self.rules {
            if next < number {
                ranges.change_at(next, REFUSED);
            }
            ranges.change_at(number, rule);
            next = number + 1;
        }
        if next <= self.newest {
            ranges.change_at(next, REFUSED);
        }
        ranges.change_at(self.newest + 1, UNKNOWN);
        if let Some(foreign) = FIRST_FOREIGN {
            ranges.change_at(foreign, REFUSED);
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::CapabilitySet;

    use super::*;

    #[test]
    fn a_known_number_without_a_rule_is_refused_and_an_unknown_one_does_not_exist() {
        let allowed = Rule::Answer(Action::Allow);
        let profile = Profile {
            rules: BTreeMap::from([(0, allowed), (1, allowed), (5, allowed)]),
            newest: 9,
        };
        let Ranges { first, mut rest } = profile.ranges();
        if let Some(foreign) = FIRST_FOREIGN {
            assert_eq!(rest.pop(), Some((foreign, REFUSED)));
        }
        assert_eq!(first, allowed);
        assert_eq!(
            rest,
            [(2, REFUSED), (5, allowed), (6, REFUSED), (10, UNKNOWN)]
        );
    }

    #[test]
    fn what_is_known_does_not_depend_on_the_capabilities() {
        let newest = |capabilities, nesting| {
            let options = Options {
                capabilities,
                nesting,
            };
            Profile::new(&options).newest
        };
        let least = newest(CapabilitySet::empty(), false);
        assert_eq!(least, newest(CapabilitySet::all(), false));
        assert_eq!(least, newest(CapabilitySet::all(), true));
    }
}
