//! A host gets no more of this machine than a transfer may have, whatever it sends; and what is read is not taken away.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use repository::{Allowed, Bounds, Error, Keep, Mirrors, Remote, Transport, Unwatched, Url, Want};
use support::{PROGRAM, Place, Server, transport};

fn mirrors(place: &Place, bounds: Bounds) -> Mirrors {
    Mirrors::new(place.path("mirrors"), transport().within(bounds))
}

#[test]
fn a_host_that_does_not_come_to_an_end_is_given_up() {
    let place = Place::new();
    // Nobody accepts, and the kernel lets us in.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!("http://127.0.0.1:{port}/x");
    let remote = Remote::public(Url::parse(&text, Allowed::default()).unwrap());
    let bounds = Bounds {
        longest: Duration::from_millis(300),
        ..Bounds::default()
    };
    let error = mirrors(&place, bounds)
        .resolve(&remote, "main", &Unwatched)
        .unwrap_err();
    assert!(error.is_worth_another_attempt(), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("failed to reach {text}: 127.0.0.1 has not sent everything in 300ms")
    );
}

#[test]
fn a_host_that_sends_too_much_is_cut_off_and_not_asked_again() {
    let place = Place::new();
    let noise: Vec<u8> = (0_u32..1 << 20)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let commit = place.upstream.write("noise", noise).commit("much");
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    let bounds = Bounds {
        bytes: 100_000,
        ..Bounds::default()
    };
    let want = Want::commit(commit);
    let error = mirrors(&place, bounds)
        .fetch(&remote, &want, &Unwatched)
        .unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
    assert!(!error.is_worth_another_attempt());
    assert!(!error.is_this_machines());
    assert!(
        error
            .to_string()
            .ends_with("is too much to be fetched: it has more than 100000 bytes"),
        "{error}"
    );
    // What had come is gone, and the mirror is none the worse.
    let (mirror, _) = mirrors(&place, Bounds::default())
        .fetch(&remote, &want, &Unwatched)
        .unwrap();
    assert!(mirror.has(commit));
}

#[test]
fn a_small_pack_that_unfolds_to_much_is_held_in_bounds() {
    let place = Place::new();
    let mut much = vec![b'a'; 96 << 20];
    place.upstream.write("much", &much).commit("much");
    much.extend_from_slice(b"and a difference");
    let commit = place.upstream.write("more", &much).commit("more");
    // As small as it gets: one of them is a difference to the other.
    place.upstream.run(&["repack", "-q", "-a", "-d", "-f"]);
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    let want = Want::commit(commit);
    let bounds = Bounds {
        memory: 64 << 20,
        ..Bounds::default()
    };
    let error = mirrors(&place, bounds)
        .fetch(&remote, &want, &Unwatched)
        .unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
    assert!(
        mirrors(&place, Bounds::default())
            .fetch(&remote, &want, &Unwatched)
            .is_ok()
    );
}

#[test]
fn hosts_are_asked_through_the_proxy_that_the_environment_names() {
    let place = Place::new();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).unwrap();
        String::from_utf8(head).unwrap()
    });
    let transport = Transport::new(move || {
        let mut command = Command::new(PROGRAM);
        command.env("https_proxy", format!("http://{address}"));
        command
    });
    let text = "https://git.example/team/app.git";
    let remote = Remote::public(Url::parse(text, Allowed::default()).unwrap());
    let mirrors = Mirrors::new(place.path("mirrors"), transport);
    let error = mirrors.resolve(&remote, "main", &Unwatched).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let head = asked.join().unwrap();
    assert!(head.starts_with("CONNECT git.example:443 "), "{head}");
}

#[test]
fn a_mirror_that_is_read_is_not_pruned() {
    let place = Place::new();
    let commit = place.upstream.write("a", "1").commit("first");
    let remote = place.upstream.remote();
    let want = Want::commit(commit);
    let (mirror, _) = place.mirrors.fetch(&remote, &want, &Unwatched).unwrap();
    let nothing = Keep {
        unused_for: Duration::ZERO,
        bytes: 0,
    };
    assert_eq!(place.mirrors.prune(&nothing), 0);
    assert_eq!(mirror.read_file(commit, "a", 100).unwrap().unwrap(), b"1");
    drop(mirror);
    assert_eq!(place.mirrors.prune(&nothing), 1);
    let again = place.mirrors.mirror(&remote).unwrap();
    assert!(!again.has(commit));
}
