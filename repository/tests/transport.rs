//! Transfers are made by processes of their own, which end when nobody waits for them or nothing comes.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use repository::{Allowed, Bounds, Error, Mirrors, Remote, Transport, Unwatched, Url, Want, Watch};
use support::tls::Authority;
use support::{PROGRAM, Place, Server, transport};

/// A server that takes connections and says nothing.
struct Silent {
    port: u16,
    connections: Mutex<Receiver<TcpStream>>,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self {
            port,
            connections: Mutex::new(receiver),
        }
    }

    fn remote(&self) -> Remote {
        let text = format!("http://127.0.0.1:{}/x", self.port);
        Remote::public(Url::parse(&text, Allowed::default()).unwrap())
    }

    /// The next connection.
    fn accept(&self) -> TcpStream {
        self.connections.lock().unwrap().recv().unwrap()
    }
}

/// Transfers by a process that leaves its number in a file.
fn noted(file: &Path) -> Transport {
    let file = file.to_owned();
    Transport::new(move || {
        let mut command = Command::new("/bin/sh");
        let script = "echo $$ > \"$0\"; exec \"$1\"";
        command.args(["-c", script]).arg(&file).arg(PROGRAM);
        command
    })
}

fn number(file: &Path) -> u32 {
    std::fs::read_to_string(file)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Whether a process runs; one that nobody has waited for yet does not.
fn runs(process: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|text| !text.rsplit(") ").next().unwrap().starts_with(['Z', 'X']))
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let place = Place::new();
    let server = Silent::start();
    let file = place.path("process");
    let transport = noted(&file).within(Bounds {
        silence: Duration::from_millis(300),
        ..Bounds::default()
    });
    let mirrors = Mirrors::new(place.path("mirrors"), transport);
    let error = mirrors
        .resolve(&server.remote(), "main", &Unwatched)
        .unwrap_err();
    assert!(error.is_worth_another_attempt(), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "failed to reach http://127.0.0.1:{}/x: 127.0.0.1 has sent nothing, or next to nothing, for 300ms",
            server.port
        )
    );
    assert!(!runs(number(&file)));
    // It is not held against the mirror, nor is the mirror still locked.
    let commit = place.upstream.write("a", "1").commit("first");
    let resolved = mirrors.resolve(&place.upstream.remote(), "main", &Unwatched);
    assert_eq!(resolved.unwrap().commit, commit);
}

/// Goes on until a server has been asked.
struct UntilAsked<'a>(&'a Silent, Mutex<Vec<TcpStream>>);

impl Watch for UntilAsked<'_> {
    fn goes_on(&self) -> bool {
        let next = self.0.connections.lock().unwrap().try_recv();
        let mut held = self.1.lock().unwrap();
        held.extend(next);
        held.is_empty()
    }
}

#[test]
fn a_watch_that_ends_a_transfer_ends_its_process() {
    let place = Place::new();
    let server = Silent::start();
    let file = place.path("process");
    let mirrors = Mirrors::new(place.path("mirrors"), noted(&file));
    let watch = UntilAsked(&server, Mutex::default());
    let error = mirrors
        .resolve(&server.remote(), "main", &watch)
        .unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error:?}");
    assert!(!runs(number(&file)));
}

/// Somebody who asks for a transfer, in a process of their own with a secret in its environment; and the transfer's process.
fn asking(place: &Place, server: &Silent) -> (std::process::Child, u32) {
    let mut parent = Command::new(PROGRAM)
        .arg(place.path("mirrors"))
        .env("AWS_SECRET_ACCESS_KEY", "hush-hush")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let url = format!("http://somebody:hunter22@127.0.0.1:{}/x", server.port);
    let mut input = parent.stdin.take().unwrap();
    input.write_all(url.as_bytes()).unwrap();
    drop(input);
    let connection = server.accept();
    std::mem::forget(connection);
    let path = format!("/proc/{0}/task/{0}/children", parent.id());
    let children = std::fs::read_to_string(path).unwrap();
    let child = children.trim().parse().unwrap();
    (parent, child)
}

#[test]
fn secrets_are_in_no_argument_and_no_environment() {
    let place = Place::new();
    let server = Silent::start();
    let (mut parent, child) = asking(&place, &server);
    let read = |name: &str| {
        let bytes = std::fs::read(format!("/proc/{child}/{name}")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (arguments, environment) = (read("cmdline"), read("environ"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(environment.contains("PATH="), "{environment}");
    for secret in ["hunter22", "hush-hush", "somebody"] {
        assert!(!arguments.contains(secret), "{arguments}");
        assert!(!environment.contains(secret), "{environment}");
    }
}

#[test]
fn a_transfer_dies_with_whoever_waits_for_it() {
    let place = Place::new();
    let server = Silent::start();
    let (mut parent, child) = asking(&place, &server);
    assert!(runs(child));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while runs(child) {
        assert!(std::time::Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn partial_packs(directory: &Path) -> Vec<PathBuf> {
    support::walk(directory)
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("/pack_git2_"))
        .collect()
}

/// Goes on until half a pack is here.
struct UntilHalf(PathBuf);

impl Watch for UntilHalf {
    fn goes_on(&self) -> bool {
        partial_packs(&self.0).is_empty()
    }
}

#[test]
fn what_a_killed_transfer_leaves_is_in_nobodys_way() {
    let place = Place::new();
    let git = &place.upstream;
    let content: Vec<u8> = (0..2_000_000_u32)
        .flat_map(|number| number.wrapping_mul(0x9E37_79B9).to_le_bytes())
        .collect();
    let commit = git.write("a", &content).commit("first");
    let mirrors = place.path("mirrors");
    let server = Server::start(place.directory.path(), None);
    let remote = Remote::public(server.url("upstream/.git"));
    server.halve();
    let watch = UntilHalf(mirrors.clone());
    let fetch = |watch: &dyn Watch| place.mirrors.fetch(&remote, &Want::commit(commit), watch);
    let error = fetch(&watch).unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error:?}");
    assert_eq!(partial_packs(&mirrors), [] as [PathBuf; 0]);
    // As if whoever waited had been killed too, at the worst moments.
    let mirror = std::fs::read_dir(&mirrors)
        .unwrap()
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|it| it == "git"));
    let mirror = mirror.unwrap().path();
    std::fs::create_dir_all(mirror.join("refs/slipway/at")).unwrap();
    for name in [
        "slipway-unfinished".to_owned(),
        "shallow.lock".to_owned(),
        format!("refs/slipway/at/{:012}-{commit}.lock", 0),
        "objects/pack/pack_git2_abc".to_owned(),
    ] {
        std::fs::write(mirror.join(name), "").unwrap();
    }
    server.serve_whole();
    let (mirror, _) = fetch(&Unwatched).unwrap();
    assert!(mirror.read_file(commit, "a", 1 << 24).unwrap() == Some(content));
    assert_eq!(partial_packs(&mirrors), [] as [PathBuf; 0]);
}

#[test]
fn what_a_process_says_is_not_believed_blindly() {
    let place = Place::new();
    let says = |script: &'static str| {
        let transport = Transport::new(move || {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            command
        });
        let mirrors = Mirrors::new(place.path("mirrors"), transport);
        let resolved = mirrors.resolve(&place.upstream.remote(), "main", &Unwatched);
        resolved.unwrap_err().to_string()
    };
    for (script, message) in [
        ("exit 3", "ended before its work: exit status: 3"),
        ("kill -SEGV $$", "ended before its work: signal: 11"),
        (
            "printf 'no \\033[31m' >&2; exit 4",
            "ended before its work: exit status: 4: no  [31m",
        ),
        ("echo hello", "failed to understand git's process"),
        ("echo '{\"is\":\"done\",\"x\":1}'", "failed to understand"),
        ("head -c 100000 /dev/zero", "it says too much at once"),
        // It has not brought what it says.
        (
            "echo '{\"is\":\"done\",\"branch\":\"../x\"}'",
            "has no branch, tag or commit `main`",
        ),
    ] {
        let error = says(script);
        assert!(error.contains(message), "{script}: {error}");
        assert!(!error.contains('\u{1b}'), "{error}");
    }
    let nowhere = Transport::new(|| Command::new("/nowhere"));
    let mirrors = Mirrors::new(place.path("mirrors"), nowhere);
    let resolved = mirrors.resolve(&place.upstream.remote(), "main", &Unwatched);
    let error = resolved.unwrap_err().to_string();
    assert!(
        error.contains("failed to start git's process: No such file"),
        "{error}"
    );
}

#[test]
fn an_authority_that_is_named_is_trusted_and_no_other() {
    let place = Place::new();
    let commit = place.upstream.write("a", "over tls").commit("first");
    let authority = Authority::make(place.directory.path());
    let server = Server::start_with(place.directory.path(), None, Some(&authority));
    let text = format!("https://localhost:{}/upstream/.git", server.port);
    let remote = Remote::public(Url::parse(&text, Allowed::default()).unwrap());
    let fetch = |transport| {
        let mirrors = Mirrors::new(place.path("mirrors"), transport);
        mirrors.fetch(&remote, &Want::commit(commit), &Unwatched)
    };
    let trusting = || {
        let file = authority.file();
        Transport::new(move || {
            let mut command = Command::new(PROGRAM);
            command.env("SSL_CERT_FILE", &file);
            command
        })
    };
    let error = fetch(transport()).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let error = error.to_string();
    assert!(
        error.contains("of an authority that this machine does not trust"),
        "{error}"
    );
    assert!(error.contains("SSL_CERT_FILE"), "{error}");
    let (mirror, _) = fetch(trusting()).unwrap();
    assert_eq!(
        mirror.read_file(commit, "a", 100).unwrap().unwrap(),
        b"over tls"
    );
}

#[test]
fn a_name_that_stands_for_this_machine_is_refused_where_that_is_not_allowed() {
    let place = Place::new();
    let elsewhere = Allowed {
        this_machine: false,
        ..Allowed::default()
    };
    let Some(name) = own_name() else {
        return;
    };
    let url = Url::parse(&format!("https://{name}:1/x"), elsewhere).unwrap();
    let error = place
        .mirrors
        .resolve(&Remote::public(url), "main", &Unwatched)
        .unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("this machine itself"), "{error}");
}

/// A name of a loopback address that does not look like one.
fn own_name() -> Option<String> {
    let hosts = std::fs::read_to_string("/etc/hosts").ok()?;
    hosts.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let address: std::net::IpAddr = words.next()?.parse().ok()?;
        let name = words.find(|name| !name.starts_with("localhost") && !name.contains('#'))?;
        address.is_loopback().then(|| name.to_owned())
    })
}
