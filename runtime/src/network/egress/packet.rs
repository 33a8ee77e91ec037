//! The few packets that are read and written by hand: first packets of TCP connections, echoes, and the kernel's ways to say no
//! (RFC 791, 792, 8200, 4443, 9293).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const UDP: u8 = 17;
const HOPS: u8 = 64;
/// Of what could not be delivered, so much is sent back: less than any link's smallest datagram allows (RFC 4443, 2.4c).
const QUOTED: usize = 512;

/// A packet that the tap has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// Somebody wants to connect.
    Syn {
        from: SocketAddr,
        to: SocketAddr,
        /// What an answer acknowledges.
        next: u32,
    },
    /// Somebody wants an echo. The identifier, the sequence number, and what is to come back.
    Echo {
        from: IpAddr,
        to: IpAddr,
        identifier: u16,
        sequence: u16,
        content: &'a [u8],
    },
}

/// An IP packet's addresses, protocol and content.
struct Ip<'a> {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    header: usize,
    content: &'a [u8],
}

fn ip(packet: &[u8]) -> Option<Ip<'_>> {
    match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 0xf) * 4;
            let end = usize::from(u16_at(packet, 2)?);
            let octets = |at: usize| <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok();
            (header >= 20).then_some(())?;
            Some(Ip {
                from: IpAddr::V4(octets(12)?.into()),
                to: IpAddr::V4(octets(16)?.into()),
                protocol: *packet.get(9)?,
                header,
                content: packet.get(header..end)?,
            })
        }
        6 => {
            let end = 40 + usize::from(u16_at(packet, 4)?);
            let octets = |at: usize| <[u8; 16]>::try_from(packet.get(at..at + 16)?).ok();
            Some(Ip {
                from: IpAddr::V6(octets(8)?.into()),
                to: IpAddr::V6(octets(24)?.into()),
                protocol: *packet.get(6)?,
                header: 40,
                content: packet.get(40..end)?,
            })
        }
        _ => None,
    }
}

/// What a packet is, if it is something for us.
pub(super) fn read(packet: &[u8]) -> Option<Seen<'_>> {
    let ip = ip(packet)?;
    let content = ip.content;
    match ip.protocol {
        TCP => {
            let header = usize::from(content.get(12)? >> 4) * 4;
            let data = content.get(header.max(20)..)?.len();
            let next = u32::from_be_bytes(content.get(4..8)?.try_into().ok()?)
                .wrapping_add(1)
                .wrapping_add(u32::try_from(data).ok()?);
            Some(Seen::Syn {
                from: SocketAddr::new(ip.from, u16_at(content, 0)?),
                to: SocketAddr::new(ip.to, u16_at(content, 2)?),
                next,
            })
        }
        ICMP | ICMP6 => Some(Seen::Echo {
            from: ip.from,
            to: ip.to,
            identifier: u16_at(content, 4)?,
            sequence: u16_at(content, 6)?,
            content: content.get(8..)?,
        }),
        _ => None,
    }
}

/// Writes the checksum that the container's kernel has left to hardware that is not there.
pub(super) fn complete(packet: &mut [u8]) {
    let Some(ip) = ip(packet) else { return };
    let (from, to, protocol, start) = (ip.from, ip.to, ip.protocol, ip.header);
    let end = start + ip.content.len();
    if let Some(content) = packet.get_mut(start..end)
        && protocol == TCP
        && content.len() >= 20
    {
        sum_into(content, 16, from, to, protocol);
    }
}

/// An answer to a first packet: there is no connection to be had.
pub(super) fn reset(from: SocketAddr, to: SocketAddr, next: u32) -> Vec<u8> {
    /// RST and ACK.
    const FLAGS: u8 = 0x14;
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&to.port().to_be_bytes());
    segment[2..4].copy_from_slice(&from.port().to_be_bytes());
    segment[8..12].copy_from_slice(&next.to_be_bytes());
    segment[12] = 5 << 4;
    segment[13] = FLAGS;
    sum_into(&mut segment, 16, to.ip(), from.ip(), TCP);
    wrap(to.ip(), from.ip(), TCP, &segment)
}

/// Why something is not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreachable {
    /// Nobody knows the way.
    Network,
    /// Nobody answers there.
    Host,
    /// Nothing listens at the port.
    Port,
    /// Somebody does not want it.
    Prohibited,
}

/// A router's answer to a packet that it does not deliver.
pub(super) fn unreachable(packet: &[u8], why: Unreachable) -> Option<Vec<u8>> {
    let ip = ip(packet)?;
    // It says that it was told so by whom it could not reach: of a gateway's address nobody knows what to make.
    let (kind, code, protocol) = match (ip.from, why) {
        (IpAddr::V4(_), Unreachable::Network) => (3, 0, ICMP),
        (IpAddr::V4(_), Unreachable::Host) => (3, 1, ICMP),
        (IpAddr::V4(_), Unreachable::Port) => (3, 3, ICMP),
        (IpAddr::V4(_), Unreachable::Prohibited) => (3, 13, ICMP),
        (IpAddr::V6(_), Unreachable::Network) => (1, 0, ICMP6),
        (IpAddr::V6(_), Unreachable::Prohibited) => (1, 1, ICMP6),
        (IpAddr::V6(_), Unreachable::Host) => (1, 3, ICMP6),
        (IpAddr::V6(_), Unreachable::Port) => (1, 4, ICMP6),
    };
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend(&packet[..packet.len().min(QUOTED)]);
    sum_into(&mut message, 2, ip.to, ip.from, protocol);
    Some(wrap(ip.to, ip.from, protocol, &message))
}

/// A datagram as its sender has sent it, less most of its content: to be quoted by [`unreachable`].
pub(super) fn datagram(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut datagram = vec![0; 8];
    datagram[..2].copy_from_slice(&from.port().to_be_bytes());
    datagram[2..4].copy_from_slice(&to.port().to_be_bytes());
    datagram[4..6].copy_from_slice(&8_u16.to_be_bytes());
    wrap(from.ip(), to.ip(), UDP, &datagram)
}

/// The answer to an echo request.
pub(super) fn echo_reply(
    from: IpAddr,
    to: IpAddr,
    identifier: u16,
    sequence: u16,
    content: &[u8],
) -> Vec<u8> {
    let (kind, protocol) = match from {
        IpAddr::V4(_) => (0, ICMP),
        IpAddr::V6(_) => (129, ICMP6),
    };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(content);
    sum_into(&mut message, 2, from, to, protocol);
    wrap(from, to, protocol, &message)
}

/// Writes the checksum of an echo request over IPv4, which covers no addresses.
pub(super) fn sum_of_echo(message: &mut [u8]) {
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    sum_into(message, 2, nobody, nobody, ICMP);
}

fn wrap(from: IpAddr, to: IpAddr, protocol: u8, content: &[u8]) -> Vec<u8> {
    let mut packet = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => header_v4(from, to, protocol, content.len()),
        (IpAddr::V6(from), IpAddr::V6(to)) => header_v6(from, to, protocol, content.len()),
        // Both are of one packet.
        _ => Vec::new(),
    };
    packet.extend(content);
    packet
}

fn header_v4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, length: usize) -> Vec<u8> {
    let mut header = vec![0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length16(20 + length).to_be_bytes());
    // Don't fragment.
    header[6] = 0x40;
    header[8] = HOPS;
    header[9] = protocol;
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum = !fold(sum(&header));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn header_v6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, length: usize) -> Vec<u8> {
    let mut header = vec![0; 40];
    header[0] = 0x60;
    header[4..6].copy_from_slice(&length16(length).to_be_bytes());
    header[6] = protocol;
    header[7] = HOPS;
    header[8..24].copy_from_slice(&from.octets());
    header[24..40].copy_from_slice(&to.octets());
    header
}

fn length16(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// Writes a checksum at its place; of all but ICMP it covers the addresses too (RFC 9293, 3.1; RFC 8200, 8.1).
fn sum_into(content: &mut [u8], at: usize, from: IpAddr, to: IpAddr, protocol: u8) {
    content[at..at + 2].fill(0);
    let mut total = sum(content);
    if protocol != ICMP {
        total += match from {
            IpAddr::V4(from) => sum(&from.octets()),
            IpAddr::V6(from) => sum(&from.octets()),
        };
        total += match to {
            IpAddr::V4(to) => sum(&to.octets()),
            IpAddr::V6(to) => sum(&to.octets()),
        };
        total += u64::from(protocol) + content.len() as u64;
    }
    content[at..at + 2].copy_from_slice(&(!fold(total)).to_be_bytes());
}

fn sum(bytes: &[u8]) -> u64 {
    let (pairs, last) = bytes.as_chunks::<2>();
    let last = last.first().map_or(0, |byte| u64::from(*byte) << 8);
    pairs
        .iter()
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum::<u64>()
        + last
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let raw = bytes.get(at..at + 2)?;
    raw.try_into().ok().map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A first packet of a connection from 10.9.0.2 to 1.2.3.4:80, as Linux sends it to a virtual interface: its checksum is
    /// that of the addresses only.
    const SYN: &str = "4500003cc0fc400040066baf0a090002010203048f7000504f48cb9d00000000a002faf00e3f0000020405b40402080a0000000000000000010303 07";

    fn syn() -> Vec<u8> {
        let digits: Vec<_> = SYN.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// Whether the checksum of a packet's transport is right: summed up with the rest it gives all ones.
    fn is_right(packet: &[u8]) -> bool {
        let ip = ip(packet).unwrap();
        let mut content = ip.content.to_vec();
        let at = match ip.protocol {
            TCP => 16,
            _ => 2,
        };
        let found = u16_at(&content, at);
        sum_into(&mut content, at, ip.from, ip.to, ip.protocol);
        u16_at(&content, at) == found
    }

    #[test]
    fn a_first_packet_is_read_and_completed() {
        let mut packet = syn();
        let seen = read(&packet).unwrap();
        let expected = Seen::Syn {
            from: "10.9.0.2:36720".parse().unwrap(),
            to: "1.2.3.4:80".parse().unwrap(),
            next: 0x4f48_cb9e,
        };
        assert_eq!(seen, expected);
        assert!(!is_right(&packet));
        complete(&mut packet);
        assert!(is_right(&packet));
    }

    #[test]
    fn answers_are_packets_with_right_checksums() {
        for (from, to) in [
            ("10.9.0.2:5", "1.2.3.4:80"),
            ("[fd00::2]:5", "[2001:db8::1]:80"),
        ] {
            let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let packet = reset(from, to, 77);
            assert!(is_right(&packet));
            let ip = ip(&packet).unwrap();
            assert_eq!((ip.from, ip.to, ip.protocol), (to.ip(), from.ip(), TCP));
            assert_eq!(ip.content[8..12], 77_u32.to_be_bytes());
            for why in [
                Unreachable::Network,
                Unreachable::Host,
                Unreachable::Port,
                Unreachable::Prohibited,
            ] {
                let quoted = datagram(from, to);
                let packet = unreachable(&quoted, why).unwrap();
                assert!(is_right(&packet));
                assert_eq!(super::ip(&packet).unwrap().content[8..], quoted);
            }
            let echo = echo_reply(to.ip(), from.ip(), 1, 2, b"abc");
            assert!(is_right(&echo));
            assert!(matches!(
                read(&echo),
                Some(Seen::Echo {
                    identifier: 1,
                    sequence: 2,
                    content: b"abc",
                    ..
                })
            ));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_packet_is_too_broken_to_be_looked_at(
            mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120),
            version in proptest::sample::select(vec![0x45_u8, 0x4f, 0x40, 0x60, 0x00]),
        ) {
            if let Some(first) = bytes.first_mut() {
                *first = version;
            }
            let _ = read(&bytes);
            let _ = unreachable(&bytes, Unreachable::Host);
            complete(&mut bytes);
        }
    }
}
