//! Control groups: what all processes of a container may use together, and what they have used (cgroups(7)).
//!
//! ```text
//! Layout (what is mounted, where we are) --Claim::make--> a directory of this agent's in each tree
//!                                                           |-- Keeper: removes it when the agent is gone, however that was
//!                                                           '-- Groups: a thread that prepares a group ahead of each start
//! Groups::take --> Lease --limit--> the container is started in it --Group::read--> Reading --> removed, or used again
//! ```
//!
//! A write to `cgroup.procs` waits for the whole kernel, up to ten milliseconds, so no start does it. On version 2 a
//! container is cloned into its group; on version 1 it is cloned by a helper, a fork of the zygote that was put into the
//! group beforehand, and serves there for one container after the other.
//!
//! Neighbours: the zygote's client owns the [`Groups`], `container::handle` a container's [`Group`]; `doctor` asks
//! [`Site`] what there is.

mod claim;
mod controller;
mod group;
mod keeper;
mod layout;
mod pool;
mod reading;
mod site;
mod v1;
mod v2;

pub(crate) use claim::Claim;
pub(crate) use controller::{Controller, Version};
pub(crate) use group::Group;
pub(crate) use keeper::Keeper;
pub(crate) use layout::Layout;
pub use pool::GroupError;
pub(crate) use pool::{Entry, Groups, Helpers, Lease};
pub(crate) use reading::Reading;
pub(crate) use site::{Denied, Site};
