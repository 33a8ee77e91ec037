use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Shared;
use crate::network::member::Member;
use crate::network::netlink::route::Hardware;
use crate::network::policy::Policy;
use crate::network::report::ReportFn;

/// A network namespace with an interface on a pod's bridge.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) namespace: OwnedFd,
    pub(super) hardware: Hardware,
    pub(super) addresses: Vec<IpAddr>,
}

/// A container's place in a pod. Its address is another's when it is dropped, so it has to live as long as the container.
#[derive(Debug)]
pub struct Interface {
    link: Link,
    member: Arc<Member>,
    pod: Arc<Shared>,
}

/// What a container has to be told of its place in a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its `/etc/resolv.conf`.
    pub resolv_conf: String,
}

impl Interface {
    pub(super) fn new(link: Link, pod: &Arc<Shared>) -> Self {
        Self {
            member: pod.join(&link),
            link,
            pod: Arc::clone(pod),
        }
    }

    /// Its addresses: of IPv4 and, where the kernel has it, of IPv6.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.link.addresses
    }

    /// Lets the container reach what a policy says; what it reaches and what it is refused is told to `reports`.
    pub fn admit(&self, policy: Policy, reports: Option<ReportFn>) {
        self.member.admit(policy, reports);
    }

    /// Gives the container a name that others of its pod find it by.
    pub fn name(&self, name: &str) {
        self.pod.members.name(name, &self.link.addresses);
    }

    /// The container is over: what it has said to the world arrives there before this returns, as far as the world takes it
    /// within two seconds. Without it, what the agent has not carried yet when this is dropped may be lost.
    pub async fn settle(&self) {
        self.member.settle().await;
    }

    /// What the container is told.
    #[must_use]
    pub fn joined(&self) -> Joined {
        Joined {
            addresses: self.link.addresses.clone(),
            resolv_conf: self.pod.resolv_conf.clone(),
        }
    }
}

impl AsFd for Interface {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.namespace.as_fd()
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        self.pod.members.remove(&self.link.addresses);
        self.pod.give_back(&self.link.addresses);
    }
}
