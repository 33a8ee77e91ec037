//! The packet filter of a pod's namespace (nf_tables): what containers send elsewhere ends in sockets of ours.
//!
//! ```text
//! from lo, TCP                 a first packet that was let in: to the TCP socket
//! to the gateway               DNS, ping, neighbour discovery, and answers to calls of ours; nothing else
//! from a container, TCP SYN    stops here: the tap has seen it, and it comes again by lo when it may
//! from a container, TCP        to the connection it is of
//! from a container, UDP        to the flow it is of, or to the UDP socket
//! anything else                stops here
//! ```
//! Numbers are those of `linux/netfilter/nf_tables.h`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::route::{INET6, Index, LOOPBACK};
use super::{Attributes, Batch};

const BEGIN: u16 = 16;
const END: u16 = 17;
/// `NFNL_SUBSYS_NFTABLES`, in the upper byte.
const TABLES: u16 = 10 << 8;
const NEWTABLE: u16 = TABLES;
const NEWCHAIN: u16 = TABLES | 3;
const NEWRULE: u16 = TABLES | 6;
/// `NFPROTO_INET`: both families.
const BOTH: u8 = 1;
/// `NF_INET_PRE_ROUTING`.
const PREROUTING: u32 = 0;
/// `NF_INET_LOCAL_OUT`.
const OUTPUT: u32 = 3;
/// `NF_IP_PRI_MANGLE`, after fragments have been put together.
const MANGLE: i32 = -150;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// Flags of TCP (RFC 9293, 3.1): both, of which a first packet has the one only.
const SYN_ACK: u8 = 0x12;
const SYN: u8 = 0x02;

const TABLE: &str = "slipway";
const CHAIN: &str = "egress";

/// `NFT_REG_VERDICT` and the first one for data.
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;

/// What the filter has to know.
#[derive(Debug)]
pub(in crate::network) struct Filter {
    /// Containers' gateway.
    pub(in crate::network) gateway: Ipv4Addr,
    /// The same in the other family, if there is one.
    pub(in crate::network) gateway6: Option<Ipv6Addr>,
    /// Of the TCP sockets, of both families.
    pub(in crate::network) tcp: u16,
    /// Of the UDP sockets.
    pub(in crate::network) udp: u16,
    /// With this mark every address is local.
    pub(in crate::network) mark: u32,
}

impl Batch {
    /// Installs a filter.
    pub(in crate::network) fn filter(&mut self, filter: &Filter) {
        // `struct nfgenmsg`, for the subsystem.
        self.push(BEGIN, 0, &generic(0, 10), |_| {});
        let new = libc::NLM_F_ACK | libc::NLM_F_CREATE;
        self.push(NEWTABLE, new, &generic(BOTH, 0), |all| all.text(1, TABLE));
        self.push(NEWCHAIN, new, &generic(BOTH, 0), |all| {
            all.text(1, TABLE);
            all.text(3, CHAIN);
            all.nest(4, |hook| {
                hook.be32(1, PREROUTING);
                hook.be32(2, MANGLE.cast_unsigned());
            });
            all.be32(5, DROP);
            all.text(7, "filter");
        });
        self.rules(filter);
        self.push(END, 0, &generic(0, 10), |_| {});
    }

    /// Installs, in a container's namespace, that it sends by its interface with no other address than its own: with
    /// `IPV6_FREEBIND` any program could (ipv6(7)), and what may be reached goes by the address. IPv4 sees to that itself.
    pub(in crate::network) fn only_from(&mut self, interface: Index, own: Ipv6Addr) {
        self.push(BEGIN, 0, &generic(0, 10), |_| {});
        let new = libc::NLM_F_ACK | libc::NLM_F_CREATE;
        self.push(NEWTABLE, new, &generic(INET6, 0), |all| all.text(1, TABLE));
        self.push(NEWCHAIN, new, &generic(INET6, 0), |all| {
            all.text(1, TABLE);
            all.text(3, CHAIN);
            all.nest(4, |hook| {
                hook.be32(1, OUTPUT);
                hook.be32(2, 0);
            });
            all.be32(5, ACCEPT);
            all.text(7, "filter");
        });
        self.rule_of(INET6, |rule| {
            rule.meta(Meta::Outgoing, &interface.to_ne_bytes());
            rule.load(Base::Network, 8, 16);
            rule.compare(Compare::Differs, &own.octets());
            rule.verdict(DROP);
        });
        self.push(END, 0, &generic(0, 10), |_| {});
    }

    fn rules(&mut self, filter: &Filter) {
        let tcp = u8::try_from(libc::IPPROTO_TCP).unwrap_or_default();
        let udp = u8::try_from(libc::IPPROTO_UDP).unwrap_or_default();
        let icmp = u8::try_from(libc::IPPROTO_ICMP).unwrap_or_default();
        let icmp6 = u8::try_from(libc::IPPROTO_ICMPV6).unwrap_or_default();

        self.rule(|rule| {
            rule.meta(Meta::Interface, &LOOPBACK.to_ne_bytes());
            rule.meta(Meta::Protocol, &[tcp]);
            rule.hand_to(filter.tcp, filter.mark);
        });
        for protocol in [udp, tcp] {
            self.rule(|rule| {
                rule.to(filter.gateway);
                rule.meta(Meta::Protocol, &[protocol]);
                rule.payload(Base::Transport, 2, &53_u16.to_be_bytes());
                rule.verdict(ACCEPT);
            });
        }
        self.rule(|rule| {
            rule.to(filter.gateway);
            rule.meta(Meta::Protocol, &[icmp]);
            rule.verdict(ACCEPT);
        });
        // Answers of containers to calls of ours.
        self.rule(|rule| {
            rule.to(filter.gateway);
            rule.meta(Meta::Protocol, &[tcp]);
            rule.masked(Base::Transport, 13, SYN_ACK, Compare::Differs, SYN);
            rule.verdict(ACCEPT);
        });
        self.rule(|rule| {
            rule.to(filter.gateway);
            rule.meta(Meta::Protocol, &[udp]);
            rule.payload(Base::Transport, 2, &filter.udp.to_be_bytes());
            rule.verdict(DROP);
        });
        self.rule(|rule| {
            rule.to(filter.gateway);
            rule.meta(Meta::Protocol, &[udp]);
            rule.verdict(ACCEPT);
        });
        self.rule(|rule| {
            rule.to(filter.gateway);
            rule.verdict(DROP);
        });
        if let Some(gateway) = filter.gateway6 {
            // Neighbour solicitation and advertisement (RFC 4861), to the gateway or to its multicast address.
            for kind in [135, 136] {
                self.rule(|rule| {
                    rule.meta(Meta::Protocol, &[icmp6]);
                    rule.payload(Base::Transport, 0, &[kind]);
                    rule.verdict(ACCEPT);
                });
            }
            self.rule(|rule| {
                rule.to6(gateway);
                rule.meta(Meta::Protocol, &[icmp6]);
                rule.verdict(ACCEPT);
            });
            self.rule(|rule| {
                rule.to6(gateway);
                rule.verdict(DROP);
            });
        }
        self.rule(|rule| {
            rule.meta(Meta::Protocol, &[tcp]);
            rule.masked(Base::Transport, 13, SYN_ACK, Compare::Equals, SYN);
            rule.verdict(DROP);
        });
        for (protocol, port) in [(tcp, filter.tcp), (udp, filter.udp)] {
            self.rule(|rule| {
                rule.meta(Meta::Protocol, &[protocol]);
                rule.hand_to(port, filter.mark);
            });
        }
    }

    fn rule(&mut self, expressions: impl FnOnce(&mut Rule<'_, '_>)) {
        self.rule_of(BOTH, expressions);
    }

    fn rule_of(&mut self, family: u8, expressions: impl FnOnce(&mut Rule<'_, '_>)) {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_APPEND;
        self.push(NEWRULE, flags, &generic(family, 0), |all| {
            all.text(1, TABLE);
            all.text(2, CHAIN);
            all.nest(4, |list| expressions(&mut Rule(list)));
        });
    }
}

/// `struct nfgenmsg`.
fn generic(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// What is known of a packet beside its bytes (`enum nft_meta_keys`).
#[derive(Debug, Clone, Copy)]
enum Meta {
    /// The interface it came in by.
    Interface = 4,
    /// The interface it goes out by.
    Outgoing = 5,
    /// `AF_INET` or `AF_INET6`.
    Family = 15,
    /// Of the transport.
    Protocol = 16,
}

/// Where an offset counts from (`enum nft_payload_bases`).
#[derive(Debug, Clone, Copy)]
enum Base {
    Network = 1,
    Transport = 2,
}

/// `enum nft_cmp_ops`.
#[derive(Debug, Clone, Copy)]
enum Compare {
    Equals = 0,
    Differs = 1,
}

/// A rule's expressions: all have to hold until a verdict.
#[derive(Debug)]
struct Rule<'a, 'b>(&'a mut Attributes<'b>);

impl Rule<'_, '_> {
    fn expression(&mut self, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
        self.0.nest(1, |element| {
            element.text(1, name);
            element.nest(2, data);
        });
    }

    fn equals(&mut self, value: &[u8]) {
        self.compare(Compare::Equals, value);
    }

    fn compare(&mut self, how: Compare, value: &[u8]) {
        self.expression("cmp", |data| {
            data.be32(1, REGISTER);
            data.be32(2, how as u32);
            data.nest(3, |wanted| wanted.put(1, value));
        });
    }

    fn meta(&mut self, key: Meta, value: &[u8]) {
        self.expression("meta", |data| {
            data.be32(1, REGISTER);
            data.be32(2, key as u32);
        });
        self.equals(value);
    }

    fn load(&mut self, base: Base, offset: u32, length: usize) {
        self.expression("payload", |data| {
            data.be32(1, REGISTER);
            data.be32(2, base as u32);
            data.be32(3, offset);
            data.be32(4, u32::try_from(length).unwrap_or(u32::MAX));
        });
    }

    fn payload(&mut self, base: Base, offset: u32, value: &[u8]) {
        self.load(base, offset, value.len());
        self.equals(value);
    }

    fn masked(&mut self, base: Base, offset: u32, mask: u8, how: Compare, value: u8) {
        self.load(base, offset, 1);
        self.expression("bitwise", |data| {
            data.be32(1, REGISTER);
            data.be32(2, REGISTER);
            data.be32(3, 1);
            data.nest(4, |bits| bits.put(1, &[mask]));
            data.nest(5, |bits| bits.put(1, &[0]));
        });
        self.compare(how, &[value]);
    }

    fn to(&mut self, address: Ipv4Addr) {
        self.meta(Meta::Family, &[super::route::INET]);
        self.payload(Base::Network, 16, &address.octets());
    }

    fn to6(&mut self, address: Ipv6Addr) {
        self.meta(Meta::Family, &[super::route::INET6]);
        self.payload(Base::Network, 24, &address.octets());
    }

    /// Gives the packet to the connection it is of, else to the socket at a port, whatever address it is for.
    fn hand_to(&mut self, port: u16, mark: u32) {
        self.immediate(&port.to_be_bytes());
        self.expression("tproxy", |data| {
            data.be32(1, 0);
            data.be32(3, REGISTER);
        });
        self.immediate(&mark.to_ne_bytes());
        self.expression("meta", |data| {
            /// `NFT_META_MARK`, written from `NFTA_META_SREG`.
            const MARK: u32 = 3;
            data.be32(2, MARK);
            data.be32(3, REGISTER);
        });
        self.verdict(ACCEPT);
    }

    fn immediate(&mut self, value: &[u8]) {
        self.expression("immediate", |data| {
            data.be32(1, REGISTER);
            data.nest(2, |content| content.put(1, value));
        });
    }

    fn verdict(&mut self, code: u32) {
        self.expression("immediate", |data| {
            data.be32(1, VERDICT);
            data.nest(2, |content| {
                content.nest(2, |verdict| verdict.be32(1, code))
            });
        });
    }
}
