//! The way out of a pod. The pod's own kernel speaks TCP and UDP with containers, whatever address they call; sockets of the
//! agent speak to the world; here the two are joined. No packet is put together here but those that say no.
//!
//! ```text
//! container ──SYN──> tap: may it? connect ──(reached)──> the SYN again, by lo ──> TCP socket: accept ──> relay <──> world
//!                                        └─(refused, unreachable)──> RST, ICMP
//! container ──UDP──> UDP socket: may it? a flow ──────────────────────────────> its own socket <──────> world
//! container ──ping─> tap: may it? echo ────────────────────────────────────────────────────────────────> world
//! ```
//!
//! A container's `connect` thus ends as it would on the machine: with the answer of whom it called, and not before. What
//! one side does not take stays in the other's socket, but for a few pipes for all connections: memory is the kernel's and bounded.

mod echo;
mod packet;
mod pipes;
pub(super) mod relay;
mod tap;
mod tcp;
mod udp;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::member::Members;
use super::pod::Keeper;
use echo::Echoes;
use tcp::Connections;
use udp::Flows;

pub(super) use tap::Tap;

/// Sockets of one family in a pod's namespace, in which everything of it ends that is for others.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) tcp: OwnedFd,
    pub(super) udp: OwnedFd,
}

/// Starts to let containers out; ends with the set.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    members: &Arc<Members>,
    keeper: &Keeper,
    tap: Tap,
    ends: Vec<Ends>,
) -> io::Result<()> {
    let tap = Arc::new(tap);
    let connections = Arc::new(Connections::new(&tap));
    let flows = Arc::new(Flows::new(&tap, members, keeper));
    for end in ends {
        let listener = TcpListener::from_std(end.tcp.into())?;
        tasks.spawn(Arc::clone(&connections).accept(listener));
        let receiver = udp::Receiver::new(end.udp)?;
        tasks.spawn(Arc::clone(&flows).receive(receiver));
    }
    let echoes = Arc::new(Echoes::new(&tap));
    tasks.spawn(tap::watch(tap, Arc::clone(members), connections, echoes));
    Ok(())
}
