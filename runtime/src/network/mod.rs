//! Private networks: a [`Pod`] for the containers that belong together, with a way out that is known and bounded.
//!
//! ```text
//! Pod::open ──> attach ──> Interface ──> admit(policy, reports) ──> Zygote::start_in
//!                │                          │
//!              name: DNS of the pod       Report: reached, refused
//! ```
//!
//! [`pod`] has the namespace and its interfaces, [`egress`] the way out, [`dns`] the name server at the gateway, [`policy`] what
//! may be reached, [`member`] what is known of each container, [`ports`] the way in from the machine, and [`netlink`] how the
//! kernel is told. Rootless by construction: everything is in namespaces of the zygote's user namespace, everything else is
//! ordinary sockets of the agent's user.

mod dns;
mod egress;
mod holder;
mod machine;
mod member;
mod netlink;
pub(crate) mod pod;
mod policy;
mod ports;
mod report;
mod room;
mod subnet;

pub use pod::{Dialer, Interface, Joined, Pod, PodError};
pub use policy::{Policy, Refusal, Target, TargetError, never};
pub use ports::{PublishError, Published, publish};
pub use report::{Place, Protocol, Report, ReportFn};
pub use subnet::{NoSubnet, default_pools};
