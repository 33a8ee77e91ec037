//! What a pod's tap sees of its containers: the first packets of TCP connections, and echo requests. A classic packet filter
//! (`linux/filter.h`), so that nothing else is even copied.

use crate::sys::Instruction;

/// `PACKET_HOST`.
const TO_US: u32 = 0;
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const ICMP: u32 = 1;
const TCP: u32 = 6;
const ICMP6: u32 = 58;
const ECHO: u32 = 8;
const ECHO6: u32 = 128;
/// SYN and ACK among TCP's flags.
const FLAGS: u32 = 0x12;
const SYN: u32 = 0x02;
/// Offset and more-fragments of an IPv4 header.
const FRAGMENT: u32 = 0x3fff;

/// `SKF_AD_OFF` with `SKF_AD_PROTOCOL` and `SKF_AD_PKTTYPE`: what is known beside the bytes.
const PROTOCOL: u32 = 0xffff_f000;
const DIRECTION: u32 = 0xffff_f004;

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_BYTE_INDEXED: u16 = 0x50;
const LOAD_HEADER_LENGTH: u16 = 0xb1;
const AND: u16 = 0x54;
const EQUAL: u16 = 0x15;
const ANY_OF: u16 = 0x45;
const RETURN: u16 = 0x06;

/// The instructions. Cooked packets begin with their network header.
pub(super) fn tap_filter() -> [Instruction; 26] {
    const DENY: u8 = 24;
    const ALLOW: u8 = 25;
    let op = |code, k| Instruction {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    // Jumps are written with the numbers of the instructions they are at and lead to.
    let to = |at: u8, code, k, yes: u8, no: u8| Instruction {
        code,
        jt: yes - at - 1,
        jf: no - at - 1,
        k,
    };
    [
        op(LOAD_WORD, DIRECTION),
        to(1, EQUAL, TO_US, 2, DENY),
        op(LOAD_WORD, PROTOCOL),
        to(3, EQUAL, IPV4, 5, 4),
        to(4, EQUAL, IPV6, 16, DENY),
        op(LOAD_HALF, 6),
        to(6, ANY_OF, FRAGMENT, DENY, 7),
        op(LOAD_HEADER_LENGTH, 0),
        op(LOAD_BYTE, 9),
        to(9, EQUAL, TCP, 10, 13),
        op(LOAD_BYTE_INDEXED, 13),
        op(AND, FLAGS),
        to(12, EQUAL, SYN, ALLOW, DENY),
        to(13, EQUAL, ICMP, 14, DENY),
        op(LOAD_BYTE_INDEXED, 0),
        to(15, EQUAL, ECHO, ALLOW, DENY),
        op(LOAD_BYTE, 6),
        to(17, EQUAL, TCP, 18, 21),
        op(LOAD_BYTE, 40 + 13),
        op(AND, FLAGS),
        to(20, EQUAL, SYN, ALLOW, DENY),
        to(21, EQUAL, ICMP6, 22, DENY),
        op(LOAD_BYTE, 40),
        to(23, EQUAL, ECHO6, ALLOW, DENY),
        op(RETURN, 0),
        op(RETURN, u32::MAX),
    ]
}
