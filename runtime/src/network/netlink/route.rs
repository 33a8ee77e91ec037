//! Links, addresses, routes and rules (rtnetlink(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rustix::io::Errno;

use super::message::attributes;
use super::{Batch, Netlink};

/// An interface's number in its namespace.
pub(in crate::network) type Index = u32;
/// The number of `lo` in every namespace.
pub(in crate::network) const LOOPBACK: Index = 1;

/// A hardware address (`IEEE 802`).
pub(in crate::network) type Hardware = [u8; 6];

const NEW: i32 = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
/// `linux/if_link.h`.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
/// `linux/veth.h`.
const VETH_INFO_PEER: u16 = 1;
/// `linux/fib_rules.h`: a rule's mark.
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FR_ACT_TO_TBL: u8 = 1;

/// `struct ifinfomsg`, up or as it is.
fn link(index: Index, up: bool) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        let flag = libc::IFF_UP.to_ne_bytes();
        header[8..12].copy_from_slice(&flag);
        header[12..16].copy_from_slice(&flag);
    }
    header
}

impl Batch {
    /// Sets an interface up, as the port of a bridge if one is named.
    pub(in crate::network) fn set_up(&mut self, index: Index, bridge: Option<Index>) {
        if let Some(bridge) = bridge {
            self.push(
                libc::RTM_NEWLINK,
                libc::NLM_F_ACK,
                &link(index, false),
                |all| {
                    all.number(libc::IFLA_MASTER, bridge);
                },
            );
        }
        self.push(
            libc::RTM_NEWLINK,
            libc::NLM_F_ACK,
            &link(index, true),
            |_| {},
        );
    }

    /// Keeps the kernel from giving an interface a link-local address, with all the traffic that goes with one.
    pub(in crate::network) fn without_link_local(&mut self, index: Index) {
        self.push(
            libc::RTM_NEWLINK,
            libc::NLM_F_ACK,
            &link(index, false),
            |all| {
                all.nest(libc::IFLA_AF_SPEC, |families| {
                    families.nest(family_number(libc::AF_INET6), |inet6| {
                        inet6.put(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
                    });
                });
            },
        );
    }

    /// Makes a bridge.
    pub(in crate::network) fn bridge(&mut self, index: Index, name: &str, hardware: Hardware) {
        self.push(libc::RTM_NEWLINK, NEW, &link(index, false), |all| {
            all.text(libc::IFLA_IFNAME, name);
            // Its own, else it would be that of its lowest port and change with them.
            all.put(libc::IFLA_ADDRESS, &hardware);
            all.nest(libc::IFLA_LINKINFO, |info| {
                info.text(libc::IFLA_INFO_KIND, "bridge");
                info.nest(libc::IFLA_INFO_DATA, |data| {
                    data.put(IFLA_BR_MCAST_SNOOPING, &[0]);
                });
            });
        });
    }

    /// Makes a pair of interfaces, of which the other one is in another namespace.
    pub(in crate::network) fn pair(
        &mut self,
        near: &End<'_>,
        far: &End<'_>,
        where_far: BorrowedFd<'_>,
    ) {
        self.push(libc::RTM_NEWLINK, NEW, &link(near.index, false), |all| {
            all.text(libc::IFLA_IFNAME, near.name);
            all.put(libc::IFLA_ADDRESS, &near.hardware);
            all.nest(libc::IFLA_LINKINFO, |info| {
                info.text(libc::IFLA_INFO_KIND, "veth");
                info.nest(libc::IFLA_INFO_DATA, |data| {
                    data.nest_after(VETH_INFO_PEER, &link(far.index, false), |peer| {
                        peer.text(libc::IFLA_IFNAME, far.name);
                        peer.put(libc::IFLA_ADDRESS, &far.hardware);
                        let fd = where_far.as_raw_fd().unsigned_abs();
                        peer.number(libc::IFLA_NET_NS_FD, fd);
                    });
                });
            });
        });
    }

    /// Gives an interface an address, which nobody else on its link is asked about.
    pub(in crate::network) fn address(&mut self, index: Index, address: IpAddr, prefix: u8) {
        let mut header = [0; 8];
        header[0] = family(address);
        header[1] = prefix;
        header[2] = u8::try_from(libc::IFA_F_NODAD).unwrap_or_default();
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        self.push(libc::RTM_NEWADDR, NEW, &header, |all| {
            all.put(libc::IFA_LOCAL, &octets(address));
            all.put(libc::IFA_ADDRESS, &octets(address));
        });
    }

    /// Tells who has an address of an interface's link, for good, so that nobody is asked. Such an entry also does not count for
    /// the 1,024 neighbours that all namespaces of a machine have together (`gc_thresh3` of arp(7)).
    pub(in crate::network) fn neighbour(
        &mut self,
        index: Index,
        address: IpAddr,
        hardware: Hardware,
    ) {
        // `struct ndmsg`.
        let mut header = [0; 12];
        header[0] = family(address);
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[8..10].copy_from_slice(&libc::NUD_PERMANENT.to_ne_bytes());
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        self.push(libc::RTM_NEWNEIGH, flags, &header, |all| {
            all.put(libc::NDA_DST, &octets(address));
            all.put(libc::NDA_LLADDR, &hardware);
        });
    }

    /// Sends everything that no other route is for through a gateway.
    pub(in crate::network) fn default_route(&mut self, gateway: IpAddr) {
        let header = route(
            family(gateway),
            libc::RT_TABLE_MAIN,
            libc::RTN_UNICAST,
            libc::RT_SCOPE_UNIVERSE,
        );
        self.push(libc::RTM_NEWROUTE, NEW, &header, |all| {
            all.put(libc::RTA_GATEWAY, &octets(gateway));
        });
    }

    /// Makes every address of a family the namespace's own for packets with a mark.
    pub(in crate::network) fn everything_is_local(&mut self, family: u8, mark: u32, table: u8) {
        let header = route(family, table, libc::RTN_LOCAL, libc::RT_SCOPE_HOST);
        self.push(libc::RTM_NEWROUTE, NEW, &header, |all| {
            all.number(libc::RTA_OIF, LOOPBACK);
        });
        // `struct fib_rule_hdr`.
        let mut header = [0; 12];
        header[0] = family;
        header[4] = table;
        header[7] = FR_ACT_TO_TBL;
        self.push(libc::RTM_NEWRULE, NEW, &header, |all| {
            all.number(FRA_FWMARK, mark);
            all.number(FRA_TABLE, table.into());
        });
    }
}

/// One of a pair of interfaces.
#[derive(Debug)]
pub(in crate::network) struct End<'a> {
    pub(in crate::network) index: Index,
    pub(in crate::network) name: &'a str,
    pub(in crate::network) hardware: Hardware,
}

/// `struct rtmsg`.
fn route(family: u8, table: u8, kind: u8, scope: u8) -> [u8; 12] {
    let mut header = [0; 12];
    header[0] = family;
    header[4] = table;
    header[5] = libc::RTPROT_BOOT;
    header[6] = scope;
    header[7] = kind;
    header
}

pub(in crate::network) const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => INET,
        IpAddr::V6(_) => INET6,
    }
}

/// `AF_INET`.
pub(in crate::network) const INET: u8 = 2;
/// `AF_INET6`.
pub(in crate::network) const INET6: u8 = 10;

fn family_number(family: i32) -> u16 {
    u16::try_from(family).unwrap_or_default()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Where this namespace has routes to, in any table, other than to everything.
///
/// # Errors
/// Those of the socket, and of the kernel.
pub(in crate::network) fn routed() -> Result<Vec<IpNet>, Errno> {
    let mut batch = Batch::default();
    batch.push(
        libc::RTM_GETROUTE,
        libc::NLM_F_DUMP,
        &route(0, 0, 0, 0),
        |_| {},
    );
    let mut found = Vec::new();
    Netlink::route()?.dump(&batch, |body| found.extend(destination(body)))?;
    Ok(found)
}

/// Whether what this namespace sends to an address comes back to it: one of its own, or one that a route makes its own.
///
/// # Errors
/// Those of the socket, and of the kernel where no route leads there.
pub(in crate::network) fn is_local(address: IpAddr) -> Result<bool, Errno> {
    let to = octets(address);
    let mut header = route(family(address), 0, 0, 0);
    // The whole address.
    header[1] = u8::try_from(to.len() * 8).unwrap_or_default();
    let mut batch = Batch::default();
    batch.push(libc::RTM_GETROUTE, libc::NLM_F_ACK, &header, |all| {
        all.put(libc::RTA_DST, &to);
    });
    let mut is_local = false;
    Netlink::route()?.dump(&batch, |body| {
        is_local |= body.get(7) == Some(&libc::RTN_LOCAL)
    })?;
    Ok(is_local)
}

/// Where a route leads, from `struct rtmsg` and its attributes.
fn destination(body: &[u8]) -> Option<IpNet> {
    let (family, prefix) = (*body.first()?, *body.get(1)?);
    let (_, raw) = attributes(body.get(12..)?).find(|(kind, _)| *kind == libc::RTA_DST)?;
    match family {
        INET => {
            let octets: [u8; 4] = raw.try_into().ok()?;
            Ipv4Net::new(Ipv4Addr::from(octets), prefix)
                .ok()
                .map(IpNet::V4)
        }
        INET6 => {
            let octets: [u8; 16] = raw.try_into().ok()?;
            Ipv6Net::new(Ipv6Addr::from(octets), prefix)
                .ok()
                .map(IpNet::V6)
        }
        _ => None,
    }
}
