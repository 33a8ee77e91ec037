//! `process.terminal` and `--console-socket`.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use harness::{TestEnvironment, for_everyone};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

use super::Bundle;

for_everyone!(a_terminal_is_handed_to_whoever_wants_it);

/// contest has no case; the socket is described in `docs/terminals.md` of opencontainers/runc.
fn a_terminal_is_handed_to_whoever_wants_it(env: &TestEnvironment) {
    let socket = env.home().join("console");
    let listener = UnixListener::bind(&socket).expect("listen");
    env.own(&socket);
    let mut bundle = Bundle::new(
        env,
        "a",
        "tty; stty size; stat -c %F /dev/console; read line; echo heard $line",
    );
    bundle.config["process"]["terminal"] = json!(true);
    bundle.config["process"]["consoleSize"] = json!({"height": 30, "width": 100});
    let listening = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody connects");
        take(&stream)
    });
    let created = bundle.try_create(&["--console-socket", &socket.to_string_lossy()]);
    assert!(created, "{}", bundle.errors());
    let mut terminal = File::from(listening.join().expect("the terminal came"));
    bundle.start();
    terminal.write_all(b"hello\n").expect("type");
    let mut output = Vec::new();
    let mut bytes = [0; 256];
    // A terminal that nobody has any more answers EIO.
    while let Ok(read @ 1..) = terminal.read(&mut bytes) {
        output.extend_from_slice(&bytes[..read]);
    }
    bundle.wait();
    let output = String::from_utf8_lossy(&output).replace('\r', "");
    let lines: Vec<_> = output.lines().filter(|line| *line != "hello").collect();
    assert_eq!(
        lines,
        [
            "/dev/pts/0",
            "30 100",
            "character special file",
            "heard hello"
        ]
    );
    std::fs::remove_file(&socket).expect("remove the socket");
}

/// The file that comes on a socket.
fn take(stream: &UnixStream) -> OwnedFd {
    let mut bytes = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        flags,
    )
    .expect("receive");
    let files = control.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    files.last().expect("a file came")
}
