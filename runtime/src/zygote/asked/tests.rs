//! Whatever comes on the zygote's socket: bytes that nobody would send, requests that were damaged on the way, and any number of
//! descriptors. The decoder is a function of both, so that nothing has to be cloned or mounted for it.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

use proptest::prelude::*;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use super::*;
use crate::container::Trace;
use crate::message::{receive, receive_bytes};
use crate::zygote::server::refuse;
use crate::zygote::wire::Reply;

const NAMESPACES: &str = r#"{"network":"none","shared":{"uts":false,"ipc":false,"cgroup":false}}"#;

/// One of each kind, as the agent says it, and how many descriptors it takes behind the first one.
const REQUESTS: [(&str, usize); 9] = [
    (
        r#"{"request":"pod","ipv4":"10.9.0.1/22","ipv6":"fd00::1/64"}"#,
        0,
    ),
    (
        r#"{"request":"start","namespaces":{"network":"pod","shared":{"uts":false,"ipc":false,"cgroup":false}},"writable":null,"upper":"1.1/root.0","disk":null,"terminal":null,"grouped":true,"joined":true,"held":false}"#,
        6,
    ),
    (
        r#"{"request":"start","namespaces":NAMESPACES,"writable":null,"upper":"1.1/root.0","disk":7,"terminal":{"rows":24,"columns":80},"grouped":false,"joined":false,"held":true}"#,
        1,
    ),
    (r#"{"request":"help"}"#, 1),
    (
        r#"{"request":"exec","namespaces":NAMESPACES,"terminal":null,"grouped":false}"#,
        5,
    ),
    (
        r#"{"request":"hold","name":"workspace.main","source":"tree","upper":"1.1/workspace"}"#,
        1,
    ),
    (
        r#"{"request":"hold","name":"volume.0","source":{"path":{"Unix":[47,118]}},"upper":null}"#,
        0,
    ),
    (r#"{"request":"release","name":"volume.0"}"#, 0),
    (
        r#"{"request":"work","job":"remove","path":"scratch/1.1/x"}"#,
        0,
    ),
];

fn request(index: usize) -> (String, usize) {
    let (text, count) = REQUESTS[index % REQUESTS.len()];
    (text.replace("NAMESPACES", NAMESPACES), count)
}

fn files(count: usize) -> Vec<OwnedFd> {
    let one = || File::open("/dev/null").unwrap().into();
    (0..count).map(|_| one()).collect()
}

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

#[test]
fn a_request_takes_its_descriptors_and_no_others() {
    for index in 0..REQUESTS.len() {
        let (text, count) = request(index);
        for given in 0..8 {
            let read = Asked::read(text.as_bytes(), files(given));
            let takes_any = text.contains(r#""request":"work""#);
            assert_eq!(
                read.is_ok(),
                given == count || takes_any,
                "{text} with {given}: {read:?}"
            );
        }
    }
}

#[test]
fn names_lead_nowhere() {
    for name in ["", ".", "..", "a/b", "../x", "/x", "x/", "x/.", "a\\u0000"] {
        for text in [
            format!(r#"{{"request":"release","name":"{name}"}}"#),
            format!(
                r#"{{"request":"hold","name":"{name}","source":{{"path":{{"Unix":[47]}}}},"upper":null}}"#
            ),
        ] {
            let read = Asked::read(text.as_bytes(), Vec::new());
            assert!(
                matches!(read, Err(StartError::Malformed { .. })),
                "{text}: {read:?}"
            );
        }
    }
    for upper in ["", "/x", "../x", "a/../../x", "x\\u0000"] {
        let text = format!(
            r#"{{"request":"hold","name":"x","source":{{"path":{{"Unix":[47]}}}},"upper":"{upper}"}}"#
        );
        let read = Asked::read(text.as_bytes(), Vec::new());
        assert!(
            matches!(read, Err(StartError::Malformed { .. })),
            "{text}: {read:?}"
        );
    }
}

/// Where it can be told, it is, and the next message is read as if nothing had been.
fn is_answered(text: &[u8], count: usize) {
    let (ours, theirs) = pair();
    let (answers, reply) = pair();
    let mut rights = vec![reply];
    rights.extend(files(count));
    let borrowed: Vec<_> = rights.iter().map(std::os::fd::AsFd::as_fd).collect();
    crate::message::send_bytes(&ours, text, &borrowed).unwrap();
    drop(rights);
    let whole = Reply::Done(serde_json::Value::Null);
    crate::message::send(&ours, &whole, &[]).unwrap();
    if let Some((bytes, mut fds)) = receive_bytes(theirs.as_fd()).unwrap() {
        assert_eq!(bytes, text);
        let reply = fds.remove(0);
        match Asked::read(&bytes, fds) {
            Err(error) => {
                refuse(&reply, error.clone());
                let (answer, _) = receive::<Reply>(answers.as_fd()).unwrap().unwrap();
                assert!(matches!(answer, Reply::Failed(told) if told == error));
            }
            Ok(asked) => drop(asked),
        }
        drop(reply);
        // Nothing is kept open that nobody asked for.
        assert!(receive::<Reply>(answers.as_fd()).unwrap().is_none());
        assert!(receive::<Reply>(theirs.as_fd()).unwrap().is_some());
    }
}

/// More than the zygote takes is cut off by the kernel, and no request.
#[test]
fn a_message_without_end_is_none() {
    let (ours, theirs) = pair();
    let long = vec![b' '; (64 << 10) + 1];
    send(&ours, &long, SendFlags::NOSIGNAL).unwrap();
    crate::message::send(&ours, &Reply::Running(Trace::default()), &[]).unwrap();
    assert!(receive_bytes(theirs.as_fd()).is_err());
    assert!(receive::<Reply>(theirs.as_fd()).unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 1..300), count in 0_usize..7) {
        is_answered(&text, count);
    }

    #[test]
    fn no_damaged_request_panics(
        index in 0_usize..8,
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        count in 0_usize..7,
    ) {
        let (text, _) = request(index);
        let mut bytes = text.into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(1 + cut.index(bytes.len()));
        is_answered(&bytes, count);
    }

    #[test]
    fn no_request_of_other_words_panics(name in "\\PC{0,40}", upper in "\\PC{0,40}", count in 0_usize..7) {
        let text = serde_json::json!({"request": "hold", "name": name, "source": "tree", "upper": upper});
        is_answered(text.to_string().as_bytes(), count);
    }
}

#[test]
fn a_private_network_without_a_place_in_it_is_not_the_machines() {
    let text = REQUESTS[1]
        .0
        .replace(r#""joined":true"#, r#""joined":false"#);
    let refused = Asked::read(text.as_bytes(), files(5));
    assert!(
        matches!(refused, Err(StartError::Malformed { .. })),
        "{refused:?}"
    );
}
