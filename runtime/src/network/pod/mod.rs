//! A pod: the private network of a few containers, a namespace with a bridge of its own.
//!
//! ```text
//!            agent                                    zygote's user namespace
//! Pod ── Keeper (task) ──orders──> process: the pod's namespace: bridge, filter, sockets
//!  │         egress, dns <──sockets──────┘            │
//!  └─ attach() ──> Interface ──namespace──> Zygote::start: a container that has it
//! ```
//!
//! Interfaces are made ahead, one at a time, so that a container does not wait for its own. All of it is gone with the
//! process, and that with the agent: nothing of the machine's network is touched, so nothing has to be put back.

mod filter;
mod interface;
mod keeper;
mod process;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::Ipv4Net;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use interface::{Interface, Joined};
pub(super) use keeper::Keeper;
pub(crate) use process::run;
pub(crate) use wire::{PodSpec, SocketKind};

use super::dns;
use super::egress::{self, Ends, Tap};
use super::machine::Resolver;
use super::member::{Member, Members};
use super::netlink::route::routed;
use super::subnet::{Addresses, NoSubnet, choose};
use crate::container::StartError;
use crate::zygote::{RequestError, Zygote};
use interface::Link;
use wire::{Answer, Order};

/// Why there is no private network, or no interface of it.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// No addresses are left that the machine has no use for.
    #[error(transparent)]
    NoSubnet(#[from] NoSubnet),
    /// The machine's routes cannot be read.
    #[error("read the machine's routes")]
    Routes(#[source] io::Error),
    /// The zygote could not be asked.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The kernel refused a part of it.
    #[error(transparent)]
    Refused(#[from] StartError),
    /// A socket of it cannot be watched.
    #[error("watch the private network's sockets")]
    Io(#[from] io::Error),
    /// So many containers are in it that there are no addresses left.
    #[error("the private network {subnet} has no address left")]
    Full {
        /// Its range.
        subnet: Ipv4Net,
    },
    /// The process that keeps it is gone.
    #[error("the private network is gone")]
    Gone,
}

/// A private network. What is in it goes with it.
#[derive(Debug)]
pub struct Pod {
    shared: Arc<Shared>,
    /// Those that are ready.
    links: tokio::sync::Mutex<mpsc::Receiver<Result<Link, PodError>>>,
    /// The kernel has it.
    ipv6: bool,
    _tasks: JoinSet<()>,
}

/// What its interfaces need of it.
#[derive(Debug)]
struct Shared {
    spec: PodSpec,
    resolv_conf: String,
    keeper: Keeper,
    members: Arc<Members>,
    addresses: Mutex<Addresses>,
    /// Interfaces made so far.
    numbers: AtomicU32,
}

/// So many interfaces wait for their containers.
const AHEAD: usize = 1;

impl Pod {
    /// Makes a private network out of one of these ranges. So many containers are expected in it, one after the other or at the
    /// same time: more only wait longer for their interfaces.
    ///
    /// # Errors
    /// See [`PodError`].
    pub async fn open(
        zygote: &Zygote,
        pools: &[Ipv4Net],
        containers: usize,
    ) -> Result<Self, PodError> {
        let routes = routed().map_err(|errno| PodError::Routes(errno.into()))?;
        let spec = choose(pools, containers, &routes)?;
        let connection = zygote.open_pod(&spec).await?;
        let (answer, fds) = connection.receive().await?.ok_or(PodError::Gone)?;
        let (ipv6, bridge) = match answer {
            Answer::Ready { ipv6, bridge } => (ipv6, bridge),
            Answer::Failed(error) => return Err(error.into()),
            Answer::Interface | Answer::Sockets => return Err(PodError::Gone),
        };
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or(PodError::Gone);
        let tap = next()?;
        let mut ends = vec![ends(&mut next)?];
        let (dns_udp, dns_tcp) = (next()?, next()?);
        if ipv6 {
            ends.push(self::ends(&mut next)?);
        }
        let mut tasks = JoinSet::new();
        let connection = Arc::new(connection);
        let tap = Tap::new(tap, bridge, &connection)?;
        let keeper = Keeper::start(&mut tasks, connection);
        let members = Arc::new(Members::default());
        egress::start(&mut tasks, &members, &keeper, tap, ends)?;
        dns::start(&mut tasks, &members, dns_udp, dns_tcp)?;
        let shared = Arc::new(Shared {
            spec,
            resolv_conf: resolv_conf(&spec, &Resolver::of_machine()),
            keeper,
            members,
            addresses: Mutex::new(Addresses::new(spec)),
            numbers: AtomicU32::new(0),
        });
        let (ready, links) = mpsc::channel(AHEAD);
        tasks.spawn(prepare(Arc::clone(&shared), containers, ready, ipv6));
        Ok(Self {
            shared,
            links: tokio::sync::Mutex::new(links),
            ipv6,
            _tasks: tasks,
        })
    }

    /// An interface for a container, which may not reach anything yet.
    ///
    /// # Errors
    /// See [`PodError`].
    pub async fn attach(&self) -> Result<Interface, PodError> {
        let made_ahead = self.links.lock().await.recv().await;
        let link = match made_ahead {
            Some(Ok(link)) => link,
            // What stood in the way then need not now; or there are more than were expected.
            Some(Err(_)) | None => {
                let number = self.shared.number();
                self.shared.link(number, self.ipv6).await?
            }
        };
        Ok(Interface::new(link, &self.shared))
    }

    /// Its range.
    #[must_use]
    pub fn subnet(&self) -> Ipv4Net {
        self.shared.spec.ipv4.trunc()
    }

    /// Connects to a container's server.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        self.dialer().connect(to).await
    }

    /// What connects to containers, also when this is elsewhere.
    #[must_use]
    pub fn dialer(&self) -> Dialer {
        Dialer(self.shared.keeper.clone())
    }
}

/// Connects to the containers of a pod, as long as there is one.
#[derive(Debug, Clone)]
pub struct Dialer(Keeper);

impl Dialer {
    /// Connects to a container's server.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = self.0.socket(SocketKind::tcp(to.ip())).await?;
        let socket = tokio::net::TcpSocket::from_std_stream(socket.into());
        socket.connect(to).await
    }

    /// A datagram socket that speaks to a container's port only.
    ///
    /// # Errors
    /// Those of connect(2).
    pub(super) async fn datagrams(&self, to: SocketAddr) -> io::Result<tokio::net::UdpSocket> {
        let socket = self.0.socket(SocketKind::udp(to.ip())).await?;
        rustix::net::connect(&socket, &to)?;
        tokio::net::UdpSocket::from_std(socket.into())
    }
}

fn ends(next: &mut impl FnMut() -> Result<OwnedFd, PodError>) -> Result<Ends, PodError> {
    Ok(Ends {
        tcp: next()?,
        udp: next()?,
    })
}

/// Makes interfaces ahead of those who want them.
async fn prepare(
    shared: Arc<Shared>,
    containers: usize,
    ready: mpsc::Sender<Result<Link, PodError>>,
    ipv6: bool,
) {
    for _ in 0..containers {
        let Ok(permit) = ready.reserve().await else {
            return;
        };
        permit.send(shared.link(shared.number(), ipv6).await);
    }
}

impl Shared {
    /// A number that no other interface of the pod has.
    fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    async fn link(self: &Arc<Self>, number: u32, ipv6: bool) -> Result<Link, PodError> {
        let taken = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (v4, v6) = taken.ok_or(PodError::Full {
            subnet: self.spec.ipv4.trunc(),
        })?;
        let mut addresses = vec![IpAddr::V4(v4)];
        addresses.extend(ipv6.then_some(IpAddr::V6(v6)));
        let order = Order::Interface {
            number,
            addresses: addresses.clone(),
        };
        let made = self.keeper.interface(order).await;
        if made.is_err() {
            self.give_back(&addresses);
        }
        Ok(Link {
            namespace: made?,
            hardware: process::hardware_of_container(v4),
            addresses,
        })
    }

    fn give_back(&self, addresses: &[IpAddr]) {
        let mut all = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            all.give_back(*address);
        }
    }

    fn join(&self, link: &Link) -> Arc<Member> {
        let member = Arc::new(Member::new(link.hardware));
        self.members.add(&link.addresses, &member);
        member
    }
}

/// The domain of a pod's containers.
pub(super) const DOMAIN: &str = "pod";

/// What containers find in `/etc/resolv.conf`: the gateway, which asks the machine's servers. Its own domain first, so that a
/// container's name without a dot is nobody else's.
fn resolv_conf(spec: &PodSpec, of_machine: &Resolver) -> String {
    use std::fmt::Write as _;
    let mut text = format!("nameserver {}\nsearch {DOMAIN}", spec.gateway());
    for domain in &of_machine.search {
        let _ = write!(text, " {domain}");
    }
    text.push('\n');
    if !of_machine.options.is_empty() {
        let _ = writeln!(text, "options {}", of_machine.options.join(" "));
    }
    text
}
