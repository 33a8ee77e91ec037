//! The process that keeps a pod's network namespace: it makes it, makes containers' interfaces and sockets in it for the agent,
//! and ends with the agent's end of its socket, or with the zygote. Of one thread, and without an allocation worth mentioning.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::filter::tap_filter;
use super::wire::{Answer, Order, PodSpec, SOCKETS, SocketKind};
use crate::container::StartError;
use crate::container::error::During;
use crate::container::init::keep_only;
use crate::container::prepared::Prepared;
use crate::message::{receive, send};
use crate::network::netlink::route::{End, Hardware, INET, INET6, LOOPBACK};
use crate::network::netlink::tables::Filter;
use crate::network::netlink::{Batch, Netlink};
use crate::sys::{SocketOption, open_tap, switch_on};

/// The bridge's name, and its number.
const BRIDGE: (&str, u32) = ("pod0", 2);
/// Ends of containers' interfaces are numbered from here on.
const PORTS: u32 = 16;
/// A container's own interface.
const INTERFACE: (&str, u32) = ("eth0", 2);
/// What is to end in our own sockets carries it, and looks up routes in this table.
const MARK: (u32, u8) = (0x51, 81);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// Makes the namespace, in which the calling process must be alone, and serves until nobody asks any more.
pub(crate) fn run(prepared: &Prepared, spec: &PodSpec, socket: &OwnedFd) {
    keep_only(prepared, &[socket.as_fd()]);
    let (pod, _tap) = match Pod::make(spec) {
        Ok((pod, mut sockets)) => {
            let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
            let ready = Answer::Ready {
                ipv6: pod.ipv6,
                bridge: BRIDGE.1,
            };
            if send(socket, &ready, &fds).is_err() {
                return;
            }
            // To be the last who has it: see there.
            let tap = sockets.swap_remove(TAP);
            drop(sockets);
            (pod, tap)
        }
        Err(error) => {
            let _ = send(socket, &Answer::Failed(error), &[]);
            return;
        }
    };
    while let Ok(Some((order, _))) = receive::<Order>(socket) {
        let (answer, made) = match pod.carry_out(order) {
            Ok(done) => done,
            Err(error) => (Answer::Failed(error), Vec::new()),
        };
        let fds: Vec<_> = made.iter().map(AsFd::as_fd).collect();
        if send(socket, &answer, &fds).is_err() {
            return;
        }
    }
}

struct Pod {
    spec: PodSpec,
    own: OwnedFd,
    route: Netlink,
    ipv6: bool,
}

/// The pod's tap is the first of its sockets.
const TAP: usize = 0;

impl Pod {
    fn make(spec: &PodSpec) -> Result<(Self, Vec<OwnedFd>), StartError> {
        let pod = Self {
            spec: *spec,
            own: this_namespace()?,
            route: Netlink::route().during("open a netlink socket")?,
            ipv6: std::fs::exists("/proc/sys/net/ipv6").unwrap_or(false),
        };
        pod.settings();
        pod.links()?;
        // The bridge has a setting of its own.
        set("ipv4/conf/pod0/rp_filter", "0");
        let sockets = pod.sockets()?;
        Ok((pod, sockets))
    }

    fn links(&self) -> Result<(), StartError> {
        let mut batch = Batch::default();
        batch.set_up(LOOPBACK, None);
        batch.bridge(BRIDGE.1, BRIDGE.0, hardware(Side::Pod, self.spec.gateway()));
        if self.ipv6 {
            batch.without_link_local(BRIDGE.1);
        }
        batch.set_up(BRIDGE.1, None);
        batch.address(
            BRIDGE.1,
            self.spec.gateway().into(),
            self.spec.ipv4.prefix_len(),
        );
        batch.everything_is_local(INET, MARK.0, MARK.1);
        if self.ipv6 {
            let gateway = self.spec.gateway6().into();
            batch.address(BRIDGE.1, gateway, self.spec.ipv6.prefix_len());
            batch.everything_is_local(INET6, MARK.0, MARK.1);
        }
        self.route.carry_out(&batch).during("make the pod's bridge")
    }

    /// What a namespace takes over from the machine and must not: where a file is missing, so is what it would switch off.
    fn settings(&self) {
        set_ipv6();
        for (name, value) in [
            ("bridge/bridge-nf-call-iptables", "0"),
            ("bridge/bridge-nf-call-ip6tables", "0"),
            ("bridge/bridge-nf-call-arptables", "0"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/conf/lo/rp_filter", "0"),
            // Whoever answers a container does it in the name of others, at ports below 1024 too.
            ("ipv4/ip_unprivileged_port_start", "0"),
        ] {
            set(name, value);
        }
    }

    /// The sockets in which everything ends that containers send elsewhere, and the filter that sees to it.
    fn sockets(&self) -> Result<Vec<OwnedFd>, StartError> {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let any6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let gateway = SocketAddr::new(self.spec.gateway().into(), 53);
        let tap = open_tap(BRIDGE.1, &tap_filter()).during("open the pod's tap")?;
        let (tcp, tcp_port) = listener(SocketAddr::new(any, 0), true)?;
        let (udp, udp_port) = receiver(SocketAddr::new(any, 0), true)?;
        let mut all = vec![
            tap,
            tcp,
            udp,
            receiver(gateway, false)?.0,
            listener(gateway, false)?.0,
        ];
        if self.ipv6 {
            all.push(listener(SocketAddr::new(any6, tcp_port), true)?.0);
            all.push(receiver(SocketAddr::new(any6, udp_port), true)?.0);
        }
        let mut batch = Batch::default();
        batch.filter(&Filter {
            gateway: self.spec.gateway(),
            gateway6: self.ipv6.then(|| self.spec.gateway6()),
            tcp: tcp_port,
            udp: udp_port,
            mark: MARK.0,
        });
        let filter = "install the pod's packet filter (nf_tables with tproxy)";
        let tables = Netlink::tables().during(filter)?;
        tables.carry_out(&batch).during(filter)?;
        Ok(all)
    }

    fn carry_out(&self, order: Order) -> Result<(Answer, Vec<OwnedFd>), StartError> {
        match order {
            Order::Interface { number, addresses } => {
                let namespace = self.interface(number, &addresses)?;
                Ok((Answer::Interface, vec![namespace]))
            }
            Order::Sockets { kind, count } => {
                let made: Result<_, _> = (0..count.min(SOCKETS)).map(|_| socket(kind)).collect();
                Ok((Answer::Sockets, made?))
            }
        }
    }

    /// A namespace with an interface on the bridge.
    fn interface(&self, number: u32, addresses: &[IpAddr]) -> Result<OwnedFd, StartError> {
        let Some(IpAddr::V4(first)) = addresses.first().copied() else {
            return Err(Errno::INVAL).during("take an interface's address");
        };
        let name = format!("c{number}");
        let far = End {
            index: PORTS.saturating_add(number),
            name: &name,
            hardware: hardware(Side::Pod, first),
        };
        unshare(CloneFlags::CLONE_NEWNET).during("make a network namespace")?;
        let made = this_namespace().and_then(|namespace| {
            self.near_end(addresses, first, &far)?;
            Ok(namespace)
        });
        if setns(&self.own, CloneFlags::CLONE_NEWNET).is_err() {
            // Whatever we did now we would do in the wrong place.
            crate::sys::exit_now(1);
        }
        let namespace = made?;
        let mut batch = Batch::default();
        if self.ipv6 {
            batch.without_link_local(far.index);
        }
        batch.set_up(far.index, Some(BRIDGE.1));
        for address in addresses {
            let of_container = hardware(Side::Container, first);
            batch.neighbour(BRIDGE.1, *address, of_container);
        }
        let done = self.route.carry_out(&batch);
        done.during("put an interface on the pod's bridge")?;
        Ok(namespace)
    }

    /// In the new namespace: everything in it.
    fn near_end(
        &self,
        addresses: &[IpAddr],
        first: Ipv4Addr,
        far: &End<'_>,
    ) -> Result<(), StartError> {
        let near = End {
            index: INTERFACE.1,
            name: INTERFACE.0,
            hardware: hardware(Side::Container, first),
        };
        if self.ipv6 {
            set_ipv6();
        }
        let mut batch = Batch::default();
        batch.set_up(LOOPBACK, None);
        batch.pair(&near, far, self.own.as_fd());
        if self.ipv6 {
            batch.without_link_local(near.index);
        }
        batch.set_up(near.index, None);
        for address in addresses {
            let (prefix, gateway): (_, IpAddr) = match address {
                IpAddr::V4(_) => (self.spec.ipv4.prefix_len(), self.spec.gateway().into()),
                IpAddr::V6(_) => (self.spec.ipv6.prefix_len(), self.spec.gateway6().into()),
            };
            batch.address(near.index, *address, prefix);
            batch.default_route(gateway);
            let of_gateway = hardware(Side::Pod, self.spec.gateway());
            batch.neighbour(near.index, gateway, of_gateway);
        }
        let socket = Netlink::route().during("open a netlink socket")?;
        socket
            .carry_out(&batch)
            .during("make a container's interface")?;
        if let Some(own) = addresses.iter().find_map(|address| match address {
            IpAddr::V6(own) => Some(*own),
            IpAddr::V4(_) => None,
        }) {
            let mut batch = Batch::default();
            batch.only_from(near.index, own);
            let operation = "hold a container to its address";
            let tables = Netlink::tables().during(operation)?;
            tables.carry_out(&batch).during(operation)?;
        }
        // As Docker has it: any user may serve at any port, and ping.
        set("ipv4/ip_unprivileged_port_start", "0");
        set("ipv4/ping_group_range", "0 0");
        Ok(())
    }
}

/// Which end of a container's link.
#[derive(Debug, Clone, Copy)]
enum Side {
    Pod = 2,
    Container = 6,
}

/// A locally administered address that no other end of the pod has.
fn hardware(side: Side, address: Ipv4Addr) -> Hardware {
    let [a, b, c, d] = address.octets();
    [side as u8, 0, a, b, c, d]
}

/// Of a container's own interface.
pub(super) fn hardware_of_container(address: Ipv4Addr) -> Hardware {
    hardware(Side::Container, address)
}

fn this_namespace() -> Result<OwnedFd, StartError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = rustix::fs::open("/proc/self/ns/net", flags, Mode::empty());
    opened.during("open the network namespace")
}

/// Switches IPv6 on, where the kernel has it: a machine that has switched it off has done so for itself.
fn set_ipv6() {
    for interfaces in ["all", "default"] {
        set(&format!("ipv6/conf/{interfaces}/disable_ipv6"), "0");
    }
}

/// Sets a parameter of the calling process's network namespace, if there is such a parameter.
fn set(name: &str, value: &str) {
    let _ = std::fs::write(format!("/proc/sys/net/{name}"), value);
}

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A socket at an address, for any address if it is `transparent`; and its port.
fn bound(
    address: SocketAddr,
    kind: SocketType,
    transparent: bool,
) -> Result<(OwnedFd, u16), StartError> {
    let operation = "open a socket of the pod";
    let (family, option) = match address {
        SocketAddr::V4(_) => (AddressFamily::INET, SocketOption::TRANSPARENT),
        SocketAddr::V6(_) => (AddressFamily::INET6, SocketOption::TRANSPARENT6),
    };
    let socket = rustix::net::socket_with(family, kind, FLAGS, None).during(operation)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true).during(operation)?;
    }
    if transparent {
        switch_on(&socket, option).during(operation)?;
    }
    rustix::net::bind(&socket, &address).during(operation)?;
    let bound: SocketAddr = rustix::net::getsockname(&socket)
        .and_then(TryInto::try_into)
        .during(operation)?;
    Ok((socket, bound.port()))
}

fn listener(address: SocketAddr, transparent: bool) -> Result<(OwnedFd, u16), StartError> {
    let (socket, port) = bound(address, SocketType::STREAM, transparent)?;
    rustix::net::listen(&socket, BACKLOG).during("listen on a socket of the pod")?;
    Ok((socket, port))
}

fn receiver(address: SocketAddr, transparent: bool) -> Result<(OwnedFd, u16), StartError> {
    let (socket, port) = bound(address, SocketType::DGRAM, transparent)?;
    if transparent {
        let option = match address {
            SocketAddr::V4(_) => SocketOption::ORIGINAL,
            SocketAddr::V6(_) => SocketOption::ORIGINAL6,
        };
        switch_on(&socket, option).during("ask for original addresses")?;
    }
    Ok((socket, port))
}

fn socket(kind: SocketKind) -> Result<OwnedFd, StartError> {
    let operation = "open a socket of the pod";
    let (family, of_stream, option) = match kind {
        SocketKind::Tcp => (AddressFamily::INET, true, None),
        SocketKind::Tcp6 => (AddressFamily::INET6, true, None),
        SocketKind::Udp => (AddressFamily::INET, false, Some(SocketOption::TRANSPARENT)),
        SocketKind::Udp6 => (
            AddressFamily::INET6,
            false,
            Some(SocketOption::TRANSPARENT6),
        ),
    };
    let kind = if of_stream {
        SocketType::STREAM
    } else {
        SocketType::DGRAM
    };
    let socket = rustix::net::socket_with(family, kind, FLAGS, None).during(operation)?;
    if let Some(option) = option {
        switch_on(&socket, option).during(operation)?;
        // Flows of several containers to one server have its address in common.
        sockopt::set_socket_reuseaddr(&socket, true).during(operation)?;
    }
    Ok(socket)
}
