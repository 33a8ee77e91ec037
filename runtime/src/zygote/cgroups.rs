//! Control groups at the zygote's birth: found, claimed and put in force where they can be. An agent runs without, too.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::helpers::Forker;
use crate::cgroup::{Claim, Groups, Keeper, Layout, Site};
use crate::container::Enforcement;
use crate::sys::SingleThreaded;

/// What there is, on its way into force.
#[derive(Debug)]
pub(super) struct Cgroups {
    enforcement: Enforcement,
    claimed: Option<(Claim, Keeper)>,
}

impl Cgroups {
    /// Claims a place for this agent's groups and has it kept. Changes nothing but that place.
    pub(super) fn prepare(proof: &SingleThreaded, owner: (u32, u32)) -> Self {
        let site = Site::find(&Layout::read(Path::new("/"))).ok();
        let enforcement = Enforcement::with(site.as_ref());
        let claimed = site.and_then(|site| {
            let claim = Claim::make(site, owner).map_err(|(path, error)| {
                tracing::warn!(%error, path = %path.display(), "control groups cannot be used");
            });
            let claim = claim.ok()?;
            match Keeper::start(proof, &claim) {
                Ok(keeper) => Some((claim, keeper)),
                Err(error) => {
                    tracing::warn!(%error, "control groups cannot be used without their keeper");
                    None
                }
            }
        });
        Self {
            claimed,
            enforcement,
        }
        .checked()
    }

    /// The group the zygote is to be cloned into.
    pub(super) fn leaf(&self) -> io::Result<Option<OwnedFd>> {
        match &self.claimed {
            Some((claim, _)) => claim.leaf(),
            None => Ok(None),
        }
    }

    /// Puts the controllers in force; slow on version 2, where this process may have to move.
    pub(super) fn settle(mut self) -> Self {
        if let Some((claim, _)) = &self.claimed
            && let Err((path, error)) = claim.settle()
        {
            tracing::warn!(%error, path = %path.display(), "control groups cannot be used");
            self.claimed = None;
        }
        self.checked()
    }

    /// Starts to prepare groups. The zygote listens on `socket`.
    pub(super) fn start(
        self,
        socket: &OwnedFd,
    ) -> io::Result<(Option<Groups>, Option<Keeper>, Enforcement)> {
        let Some((claim, keeper)) = self.claimed else {
            return Ok((None, None, self.enforcement));
        };
        let forker = Forker {
            socket: socket.try_clone()?,
        };
        let groups = Groups::start(claim, forker)?;
        Ok((Some(groups), Some(keeper), self.enforcement))
    }

    /// Without a claim there are no control groups, whatever was found.
    fn checked(self) -> Self {
        match self.claimed {
            Some(_) => self,
            None => Self {
                enforcement: Enforcement::with(None),
                claimed: None,
            },
        }
    }
}
