//! `allow` is read twice: by the language, which tells mistakes at their place, and by the runtime, which holds containers to
//! it. Both have to read the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pipelines::{Overrides, Source, compile, plan};
use proptest::prelude::*;
use runtime::network::{Policy, Target};

use super::specification::policy;

/// Whether the language takes it for an entry of `allow`.
fn may_be_written(text: &str) -> bool {
    let quoted = serde_json::to_string(text).unwrap();
    let pipeline =
        format!("image: host\nsteps: [{{ run: x, network: {{ allow: [{quoted}] }} }}]\n");
    let plan = compile(&Source::new("f.yml", pipeline), &Overrides::default()).plan;
    let network = plan.map(|plan| plan.jobs[0].steps[0].network.clone());
    match network {
        None => false,
        Some(plan::Network::Allow(list)) => {
            assert_eq!(list.len(), 1);
            assert_eq!(list[0].to_string(), text);
            true
        }
        Some(other) => panic!("{text}: {other:?}"),
    }
}

/// What the runtime makes of it.
fn held(text: &str) -> Option<Policy> {
    policy(&plan::Network::Allow(vec![text.to_owned()])).ok()
}

/// What is meant by an entry.
#[derive(Debug, Clone)]
enum Meaning {
    Name(&'static str),
    Below(&'static str),
    Range(&'static str, u8),
}

use Meaning::{Below, Name, Range};

/// Entries, what they mean, and at which port, where that is not all of them.
const ENTRIES: &[(&str, Meaning, Option<u16>)] = &[
    ("example.org", Name("example.org"), None),
    ("Example.ORG.", Name("example.org"), None),
    ("example.org:443", Name("example.org"), Some(443)),
    ("example.org.:443", Name("example.org"), Some(443)),
    ("localhost:65535", Name("localhost"), Some(65535)),
    ("_srv._tcp.example.org", Name("_srv._tcp.example.org"), None),
    ("4.example.org", Name("4.example.org"), None),
    ("x", Name("x"), None),
    ("*.example.org", Below("example.org"), None),
    ("*.Example.org.:80", Below("example.org"), Some(80)),
    ("*.org", Below("org"), None),
    ("192.0.2.7", Range("192.0.2.7", 32), None),
    ("192.0.2.7:22", Range("192.0.2.7", 32), Some(22)),
    ("[192.0.2.7]:22", Range("192.0.2.7", 32), Some(22)),
    ("192.0.2.0/24", Range("192.0.2.0", 24), None),
    ("192.0.2.99/24:22", Range("192.0.2.0", 24), Some(22)),
    ("0.0.0.0/0", Range("0.0.0.0", 0), None),
    ("192.0.2.7/32", Range("192.0.2.7", 32), None),
    ("2001:db8::1", Range("2001:db8::1", 128), None),
    ("[2001:db8::1]", Range("2001:db8::1", 128), None),
    ("[2001:DB8::1]:443", Range("2001:db8::1", 128), Some(443)),
    // Without brackets the last number belongs to the address.
    ("2001:db8::1:443", Range("2001:db8::1:443", 128), None),
    ("2001:db8::/32", Range("2001:db8::", 32), None),
    ("[2001:db8::/32]:443", Range("2001:db8::", 32), Some(443)),
    ("2001:db8:ffff::/32", Range("2001:db8::", 32), None),
    ("::/0", Range("::", 0), None),
];

/// What neither reads.
const MISTAKES: &[&str] = &[
    "",
    ".",
    "*",
    "*.",
    "*.*.org",
    "a.*.org",
    "*a.org",
    "a..org",
    ".org",
    "a b",
    "ex\u{e4}mple.org",
    "https://example.org",
    "example.org/path",
    "user@example.org",
    "example.org:",
    "example.org:0",
    "example.org:+80",
    "example.org:080",
    "example.org:65536",
    "example.org:80:80",
    "example.org:http",
    "example.org: 80",
    ":80",
    "[example.org]:80",
    "192.0.2.0/33",
    "192.0.2.0/024",
    "192.0.2.0/+24",
    "192.0.2.0/",
    "192.0.2.0/24/24",
    "192.0.2.0/255.255.255.0",
    "192.0.2/24",
    "010.0.0.1/8",
    "010.0.0.1",
    "256.0.0.1",
    "192.0.2.7.",
    "3232235777",
    "0x7f000001:80 ",
    "2001:db8::/129",
    "2001:db8::/0128",
    "[2001:db8::]/32",
    "[2001:db8::1",
    "2001:db8::1]",
    "[[2001:db8::1]]",
    "[2001:db8::1]443",
    "[2001:db8::1]:",
    "fe80::1%eth0",
    "2001:db8",
];

/// Asks a policy of one entry about the entry itself and about its surroundings.
fn holds(policy: &Policy, meaning: &Meaning, port: Option<u16>) {
    let ports = port.map_or(vec![1, 443, 65535], |port| vec![port]);
    let elsewhere: IpAddr = Ipv4Addr::new(203, 0, 113, 9).into();
    let reach = |address: IpAddr, port: u16, names: &[&str]| {
        // No port of a name server, which has a rule of its own.
        policy.reach(address, port, names).is_ok()
    };
    let names: (Vec<String>, Vec<String>) = match meaning {
        Name(name) => (
            vec![(*name).to_owned()],
            vec![
                format!("a.{name}"),
                format!("{name}.net"),
                format!("a{name}"),
            ],
        ),
        Below(end) => (
            vec![format!("a.{end}"), format!("a.b.{end}")],
            vec![(*end).to_owned(), format!("a{end}"), format!("a.{end}.net")],
        ),
        Range(..) => (Vec::new(), vec!["example.org".to_owned()]),
    };
    for name in &names.0 {
        assert!(policy.look_up(name).is_ok(), "{name}");
        for &port in &ports {
            assert!(reach(elsewhere, port, &[name]), "{name}:{port}");
        }
    }
    for name in &names.1 {
        assert!(policy.look_up(name).is_err(), "{name}");
    }
    if let Range(address, prefix) = meaning {
        let first: IpAddr = address.parse().unwrap();
        let (last, behind) = edges(first, *prefix);
        for &port in &ports {
            for inside in [first, last] {
                // Some addresses are never reached, on no list.
                if runtime::network::never(inside).is_none() {
                    assert!(reach(inside, port, &[]), "{inside}:{port}");
                }
            }
            if let Some(behind) = behind {
                assert!(!reach(behind, port, &[]), "{behind}:{port}");
            }
        }
    } else {
        assert!(
            !reach(elsewhere, ports[0], &[]),
            "an address without its name"
        );
    }
    if let Some(port) = port {
        let other = if port == 9 { 10 } else { 9 };
        let (address, names) = match meaning {
            Range(address, _) => (address.parse().unwrap(), Vec::new()),
            _ => (elsewhere, vec![names.0[0].as_str()]),
        };
        assert!(!reach(address, other, &names), "port {other}");
    }
}

/// The last address of a range, and the one behind it.
fn edges(first: IpAddr, prefix: u8) -> (IpAddr, Option<IpAddr>) {
    match first {
        IpAddr::V4(first) => {
            let rest = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let last = u32::from(first) | rest;
            let behind = last.checked_add(1).map(|next| Ipv4Addr::from(next).into());
            (Ipv4Addr::from(last).into(), behind)
        }
        IpAddr::V6(first) => {
            let rest = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let last = u128::from(first) | rest;
            let behind = last.checked_add(1).map(|next| Ipv6Addr::from(next).into());
            (Ipv6Addr::from(last).into(), behind)
        }
    }
}

#[test]
fn what_can_be_written_is_held_as_it_is_meant() {
    for (text, meaning, port) in ENTRIES {
        assert!(may_be_written(text), "`{text}` cannot be written");
        let policy = held(text).unwrap_or_else(|| panic!("`{text}` cannot be held"));
        holds(&policy, meaning, *port);
    }
}

#[test]
fn what_cannot_be_written_is_not_held_to_be_something() {
    for text in MISTAKES {
        assert!(!may_be_written(text), "`{text}` can be written");
        assert_eq!(held(text), None, "`{text}`");
    }
}

/// Texts that are nearly entries, of the pieces that entries are made of.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("*.".to_owned()),
        Just("example".to_owned()),
        Just("192.0.2".to_owned()),
        Just("2001:db8::".to_owned()),
        "[.:/\\[\\]*+%_-]",
        "[0-9]{1,4}",
        "[a-zA-Z0-9]{1,3}",
        Just("0".to_owned()),
        Just(" ".to_owned()),
        Just("\u{e9}".to_owned()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Entries of every form.
fn entry() -> impl Strategy<Value = String> {
    let label = "[a-zA-Z0-9_-]{1,63}";
    let name = proptest::collection::vec(label, 1..5).prop_map(|labels| labels.join("."));
    let place = prop_oneof![
        name.clone(),
        name.prop_map(|name| format!("*.{name}.")),
        any::<Ipv4Addr>().prop_map(|address| address.to_string()),
        (any::<Ipv4Addr>(), 0..=33_u8).prop_map(|(address, prefix)| format!("{address}/{prefix}")),
        any::<Ipv6Addr>().prop_map(|address| format!("[{address}]")),
        (any::<Ipv6Addr>(), 0..=129_u8)
            .prop_map(|(address, prefix)| format!("[{address}/{prefix}]")),
    ];
    let port = proptest::option::of(any::<u16>());
    (place, port).prop_map(|(place, port)| match port {
        Some(port) => format!("{place}:{port}"),
        None => place,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_read_the_same(text in prop_oneof![nearly(), entry()]) {
        prop_assert_eq!(may_be_written(&text), held(&text).is_some());
    }

    /// What an entry is read as, it is written as as well: what the runtime tells of a list means what the language reads.
    #[test]
    fn what_is_read_is_written_so_that_it_means_the_same(text in entry()) {
        if let Ok(target) = text.parse::<Target>() {
            let again = target.to_string();
            prop_assert!(may_be_written(&again), "`{}` of `{}`", again, text);
            prop_assert_eq!(again.parse::<Target>().ok(), Some(target));
        }
    }
}
