//! A machine and a world around it, in network namespaces: what an agent in the machine reaches is what the test serves in the
//! world. Nothing of it touches the network of the machine that the tests run on.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, Record, RecordType};
use rustix::process::geteuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Skip, TestEnvironment};

/// Addresses of the world, the machine's own, and what the machine has for routes besides.
const WORLD: [&str; 5] = [
    "203.0.113.1/24",
    "203.0.113.10/24",
    "203.0.113.20/24",
    "198.51.100.7/24",
    "2001:db8::1/64",
];

/// Two network namespaces with a link between them.
#[derive(Debug)]
pub struct World {
    name: String,
    directory: PathBuf,
    names: Arc<Mutex<HashMap<String, Vec<IpAddr>>>>,
    /// Names that were asked for, in lower case.
    asked: Arc<Mutex<Vec<String>>>,
}

/// The world's name server and gateway.
pub const SERVER: &str = "203.0.113.1";
/// The machine's own address.
pub const MACHINE: &str = "203.0.113.2";

impl World {
    /// Makes them, with a name server in the world.
    ///
    /// # Errors
    /// Without root.
    ///
    /// # Panics
    /// When they cannot be made.
    pub fn create(environment: &TestEnvironment) -> Result<Self, Skip> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            return Err(Skip(
                "only root can make a network for the machine".to_owned(),
            ));
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sl{}-{count}", std::process::id());
        let world = Self {
            directory: environment.root().to_owned(),
            names: Arc::default(),
            asked: Arc::default(),
            name,
        };
        let (machine, outside) = (world.machine(), world.outside());
        for namespace in [&machine, &outside] {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        ip(&[
            "-n", &machine, "link", "add", "world", "type", "veth", "peer", "name", "machine",
            "netns", &outside,
        ]);
        for address in WORLD {
            ip(&[
                "-n", &outside, "addr", "add", address, "dev", "machine", "nodad",
            ]);
        }
        for address in ["203.0.113.2/24", "2001:db8::2/64"] {
            ip(&[
                "-n", &machine, "addr", "add", address, "dev", "world", "nodad",
            ]);
        }
        ip(&["-n", &outside, "link", "set", "machine", "up"]);
        ip(&["-n", &machine, "link", "set", "world", "up"]);
        ip(&["-n", &machine, "route", "add", "default", "via", SERVER]);
        ip(&[
            "-n",
            &machine,
            "-6",
            "route",
            "add",
            "default",
            "via",
            "2001:db8::1",
        ]);
        fs::write(
            world.resolv_conf(),
            format!("nameserver {SERVER}\nsearch corp.example\n"),
        )
        .expect("write the machine's resolv.conf");
        world.serve_names();
        Ok(world)
    }

    /// Gives the machine a route.
    pub fn route(&self, range: &str) {
        ip(&["-n", &self.machine(), "route", "add", range, "via", SERVER]);
    }

    /// Makes packets between the two no larger than so many bytes.
    pub fn mtu(&self, bytes: u32) {
        let bytes = bytes.to_string();
        for (namespace, link) in [(self.machine(), "world"), (self.outside(), "machine")] {
            ip(&["-n", &namespace, "link", "set", link, "mtu", &bytes]);
        }
    }

    /// Lets the machine say at once that nobody is there.
    pub fn unreachable(&self, range: &str) {
        ip(&["-n", &self.machine(), "route", "add", "unreachable", range]);
    }

    /// Lets every user of the machine send echo requests, as distributions do (ping_group_range, icmp(7)).
    ///
    /// # Panics
    /// When that cannot be said.
    pub fn let_users_ping(&self) {
        let written = within(&self.machine(), || {
            fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")
        });
        written.expect("let users send echo requests");
    }

    /// Gives a name addresses, instead of those it had.
    ///
    /// # Panics
    /// When one is none.
    pub fn name(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses
            .iter()
            .map(|text| text.parse().expect("an address"));
        let mut names = self.names.lock().expect("a lock");
        names.insert(name.to_owned(), addresses.collect());
    }

    /// Names that the machine has asked for.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }

    /// Serves a text by HTTP at an address of the world; counts connections.
    ///
    /// # Panics
    /// When it cannot be served.
    pub fn http(&self, address: &str, text: &str) -> Arc<AtomicUsize> {
        self.http_in(&self.outside(), address, text)
    }

    /// The same at an address of the machine.
    ///
    /// # Panics
    /// When it cannot be served.
    pub fn http_on_machine(&self, address: &str, text: &str) -> Arc<AtomicUsize> {
        self.http_in(&self.machine(), address, text)
    }

    fn http_in(&self, namespace: &str, address: &str, text: &str) -> Arc<AtomicUsize> {
        let address: SocketAddr = address.parse().expect("an address");
        let listener = within(namespace, move || TcpListener::bind(address)).expect("listen");
        let count = Arc::new(AtomicUsize::new(0));
        let (counter, text) = (Arc::clone(&count), text.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let text = text.clone();
                thread::spawn(move || answer(stream, &text));
            }
        });
        count
    }

    /// A listener in the world, for what a test wants to do itself.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn listen(&self, address: &str) -> TcpListener {
        let address: SocketAddr = address.parse().expect("an address");
        within(&self.outside(), move || TcpListener::bind(address)).expect("listen")
    }

    /// Connects to an address from the machine.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn connect_from_machine(&self, address: &str) -> std::io::Result<TcpStream> {
        let address: SocketAddr = address.parse().expect("an address");
        within(&self.machine(), move || TcpStream::connect(address))
    }

    /// A socket of the machine for datagrams to an address. Waits ten seconds for one that comes back.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn datagrams_from_machine(&self, to: &str) -> UdpSocket {
        let to: SocketAddr = to.parse().expect("an address");
        within(&self.machine(), move || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
            socket.connect(to).expect("connect");
            let limit = Duration::from_secs(10);
            socket.set_read_timeout(Some(limit)).expect("set a limit");
            socket
        })
    }

    /// Takes datagrams at an address of the world and counts them.
    ///
    /// # Panics
    /// When they cannot be taken.
    pub fn datagrams(&self, address: &str) -> Arc<AtomicUsize> {
        count_datagrams(&self.outside(), address)
    }

    /// The same at an address of the machine.
    ///
    /// # Panics
    /// When they cannot be taken.
    pub fn datagrams_on_machine(&self, address: &str) -> Arc<AtomicUsize> {
        count_datagrams(&self.machine(), address)
    }

    /// Sends every datagram back.
    ///
    /// # Panics
    /// When it cannot be served.
    pub fn echo(&self, address: &str) {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = within(&self.outside(), move || UdpSocket::bind(address)).expect("bind");
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..length], from);
            }
        });
    }

    /// The network namespace that the agent is to run in.
    #[must_use]
    pub fn machine(&self) -> String {
        format!("{}m", self.name)
    }

    fn outside(&self) -> String {
        format!("{}w", self.name)
    }

    /// A program that is to run in the world.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        command_in(&self.outside(), words)
    }

    /// A program that is to run on the machine.
    #[must_use]
    pub fn command_on_machine(&self, words: &[&str]) -> Command {
        command_in(&self.machine(), words)
    }

    /// What stands for the machine's `/etc/resolv.conf`.
    #[must_use]
    pub fn resolv_conf(&self) -> PathBuf {
        self.directory.join("resolv.conf")
    }

    fn serve_names(&self) {
        let address = SocketAddr::new(SERVER.parse().expect("an address"), 53);
        let socket = within(&self.outside(), move || UdpSocket::bind(address)).expect("bind");
        let (names, asked) = (Arc::clone(&self.names), Arc::clone(&self.asked));
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = resolve(&buffer[..length], &names, &asked) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for namespace in [self.machine(), self.outside()] {
            let _ = Command::new("ip")
                .args(["netns", "del", &namespace])
                .output();
        }
    }
}

/// Does something in a thread of a network namespace that has a name: sockets stay where they were made.
///
/// # Panics
/// When there is none, or what is done panics.
pub fn within<T: Send + 'static>(namespace: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let path = Path::new("/run/netns").join(namespace);
    let entered = thread::spawn(move || {
        let namespace = fs::File::open(path).expect("open the network namespace");
        move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&namespace),
            Some(LinkNameSpaceType::Network),
        )
        .expect("enter the network namespace");
        act()
    });
    entered.join().expect("act in the network namespace")
}

fn count_datagrams(namespace: &str, address: &str) -> Arc<AtomicUsize> {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = within(namespace, move || UdpSocket::bind(address)).expect("bind");
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while socket.recv_from(&mut buffer).is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    count
}

/// In its place is the program: the child's process id is the program's.
fn command_in(namespace: &str, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/run/netns/{namespace}"))
        .args(words);
    command
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().expect("run ip");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {arguments:?}: {errors}");
}

fn answer(mut stream: TcpStream, text: &str) {
    let mut request: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend(&buffer[..length]),
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(text.as_bytes());
}

fn resolve(
    query: &[u8],
    names: &Mutex<HashMap<String, Vec<IpAddr>>>,
    asked: &Mutex<Vec<String>>,
) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let name = question.name.to_lowercase().to_ascii();
    let name = name.trim_end_matches('.').to_owned();
    asked.lock().ok()?.push(name.clone());
    let found = names.lock().ok()?.get(&name).cloned();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    if found.is_none() {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    let wanted = found
        .into_iter()
        .flatten()
        .filter_map(|address| match address {
            IpAddr::V4(v4) if question.query_type == RecordType::A => Some(RData::A(A(v4))),
            IpAddr::V6(v6) if question.query_type == RecordType::AAAA => {
                Some(RData::AAAA(AAAA(v6)))
            }
            _ => None,
        });
    for data in wanted {
        answer.add_answer(Record::from_rdata(question.name.clone(), 60, data));
    }
    answer.add_query(question);
    answer.to_vec().ok()
}
