//! A command's capabilities: what every container's has, or what is said outright.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::error::During;
use super::user::Identity;
use super::{Capabilities, Process, StartError};
use crate::security::Defence;
use crate::security::capabilities::DEFAULT;

/// What a command may do, as far as capabilities go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    /// At most.
    pub(super) bounding: CapabilitySet,
    sets: CapabilitySets,
    ambient: CapabilitySet,
    /// Executing a program adds nothing.
    pub(super) no_new_privileges: bool,
}

impl Rights {
    /// Those of a process.
    pub(super) fn of(process: &Process, identity: &Identity) -> Result<Self, StartError> {
        let set = Capabilities::set;
        if let Some(privileges) = process.privileges.as_deref() {
            let of = privileges.capabilities;
            return Ok(Self {
                bounding: set(of.bounding),
                sets: CapabilitySets {
                    effective: set(of.effective),
                    permitted: set(of.permitted),
                    inheritable: set(of.inheritable),
                },
                ambient: set(of.ambient),
                no_new_privileges: privileges.no_new_privileges,
            });
        }
        let own = if !Defence::Capabilities.is_on() {
            rustix::thread::capabilities(None)
                .during("read the capabilities")?
                .permitted
        } else if identity.uid == 0 {
            DEFAULT
        } else {
            CapabilitySet::empty()
        };
        Ok(Self {
            bounding: DEFAULT,
            sets: CapabilitySets {
                effective: own,
                permitted: own,
                inheritable: CapabilitySet::empty(),
            },
            ambient: CapabilitySet::empty(),
            no_new_privileges: Defence::NoNewPrivileges.is_on(),
        })
    }

    /// Gives up for ever what is beyond the bounding set.
    pub(super) fn bound(&self) -> Result<(), StartError> {
        if !Defence::Capabilities.is_on() {
            return Ok(());
        }
        for capability in CapabilitySet::all().difference(self.bounding).iter() {
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                // EINVAL: newer than this kernel.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(errno) => return Err(errno).during("drop a bounding capability"),
            }
        }
        Ok(())
    }

    /// Puts everything in force that a change of users has left.
    pub(super) fn have_all(&self) -> Result<(), StartError> {
        let found = rustix::thread::capabilities(None).during("read the capabilities")?;
        let all = CapabilitySets {
            effective: found.permitted,
            ..found
        };
        rustix::thread::set_capabilities(None, all).during("set capabilities")
    }

    /// Takes these sets and no others.
    pub(super) fn take(&self) -> Result<(), StartError> {
        rustix::thread::clear_ambient_capability_set().during("clear ambient capabilities")?;
        rustix::thread::set_capabilities(None, self.sets).during("set capabilities")?;
        for capability in self.ambient.iter() {
            rustix::thread::configure_capability_in_ambient_set(capability, true)
                .during("raise an ambient capability")?;
        }
        Ok(())
    }
}
