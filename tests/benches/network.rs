//! What a private network costs: throughput and latency through it, against the machine's own network, pasta and slirp4netns,
//! everybody in turn in one run, so that a ratio holds whatever the machine is doing.
//!
//! `cargo bench -p system-tests --bench network`, as root, which makes the world that is spoken to: another network namespace, at the
//! far end of a pair of interfaces. Words behind `--` choose whom to measure besides the machine's own. Ours runs as the plain user slipway-sub. The others need `/dev/net/tun`, which is root's on many
//! machines, and run as root. Needs iperf3, curl and perl; slirp4netns and passt where they are not to be left out.
#![expect(clippy::print_stdout, reason = "a benchmark's table")]

mod release;

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, thread};

use harness::{TestEnvironment, Who, World, wait};
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Rounds; each measures everybody once.
const ROUNDS: usize = 3;
/// Of a transfer by iperf3, seconds.
const SECONDS: &str = "3";
/// What is downloaded: 1 GiB.
const LENGTH: u64 = 1 << 30;
/// Connections one after the other.
const CONNECTIONS: &str = "1000";
/// Who serves in the world, at ports of iperf3, HTTP and echoes.
const SERVER: &str = "203.0.113.10";
/// Where iperf3 takes datagrams.
const DATAGRAMS: &str = "5202";

const MEASURES: [(&str, Measure); 6] = [
    ("TCP out, Gbit/s", |network| tcp(network, &[])),
    ("TCP in, Gbit/s", |network| tcp(network, &["-R"])),
    ("UDP out, Gbit/s", udp),
    ("1 GiB by HTTP, s", |network| Ok(download(network)?.0)),
    ("CPU of that, s", |network| Ok(download(network)?.1)),
    ("connection, µs", latency),
];

const BARE: &str = "the machine's own";

type Measure = fn(&Network) -> Outcome<f64>;

type Client<'a> = dyn Fn(&[&str]) -> Outcome<String> + 'a;

/// A network that a client runs in.
struct Network<'a> {
    name: &'static str,
    /// Runs a client; the answer is what it prints.
    run: Box<Client<'a>>,
    /// Who carries its packets, if that is a process that outlives the client.
    carrier: Option<Carrier>,
    /// Of each measure.
    samples: [Vec<f64>; MEASURES.len()],
}

fn main() -> Outcome<()> {
    // Another agent can be measured by this variable.
    if std::env::var_os("SLIPWAY_TEST_AGENT").is_none() {
        release::agent()?;
    }
    let missing: Vec<_> = ["iperf3", "curl", "perl"]
        .into_iter()
        .filter(|program| !is_installed(program))
        .collect();
    if !missing.is_empty() {
        return Err(format!("not installed: {}", missing.join(", ")).into());
    }
    let environment = TestEnvironment::new(Who::Subordinate).map_err(|why| why.0)?;
    let world = World::create(&environment).map_err(|why| why.0)?;
    // Of TCP and UDP each its own: one that has just served the one refuses the other.
    let _datagrams = Ending(
        world
            .command(&["iperf3", "-s", "-B", SERVER, "-p", DATAGRAMS])
            .stdout(Stdio::null())
            .spawn()?,
    );
    let _server = Ending(
        world
            .command(&["iperf3", "-s"])
            .stdout(Stdio::null())
            .spawn()?,
    );
    serve_downloads(world.listen(&format!("{SERVER}:80")));
    serve_echoes(world.listen(&format!("{SERVER}:7")));

    let mut networks = networks(&environment, &world);
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    networks.retain(|network| network.name == BARE || is_wanted(network.name));
    let listening = wait::until(wait::PATIENCE, || tcp(&networks[0], &["-t", "1"]).ok());
    listening.ok_or("iperf3 does not serve")?;
    for _ in 0..ROUNDS {
        for network in &mut networks {
            for (number, (what, measure)) in MEASURES.into_iter().enumerate() {
                match measure(network) {
                    Ok(sample) => network.samples[number].push(sample),
                    Err(error) => println!("{what}, {}: {error}", network.name),
                }
            }
        }
    }
    print!("{}", table(&mut networks));
    Ok(())
}

fn networks<'a>(environment: &'a TestEnvironment, world: &'a World) -> Vec<Network<'a>> {
    let network = |name, run, carrier| Network {
        name,
        run,
        carrier,
        samples: Default::default(),
    };
    let bare = Box::new(|words: &[&str]| output_of(&mut world.command_on_machine(words)));
    let ours = Box::new(|words: &[&str]| {
        let words = ["run", "--rm", "host"].iter().chain(words);
        let done = environment.agent(words).in_world(world).run();
        match done.code() {
            0 => Ok(done.output()),
            _ => Err(done.errors().into()),
        }
    });
    let mut all = vec![network(BARE, bare, None), network("slipway", ours, None)];
    let slirp = [
        "slirp4netns",
        "--configure",
        "--mtu=1500",
        "--netns-type=path",
    ];
    let pasta = [
        "pasta",
        "--quiet",
        "--foreground",
        "--config-net",
        "--netns-only",
        "--runas",
        "0",
    ];
    let small = [&pasta[..], &["--mtu", "1500"]].concat();
    let others: [(_, &[&str], &[&str]); 3] = [
        ("slirp4netns", &slirp, &["tap0"]),
        ("pasta, MTU 65520", &pasta, &[]),
        ("pasta, MTU 1500", &small, &[]),
    ];
    for (name, before, behind) in others {
        if !is_installed(before[0]) {
            println!("left out: {name}: {} is not installed", before[0]);
            continue;
        }
        match Carrier::start(world, before, behind) {
            Ok(carrier) => {
                let namespace = carrier.namespace.clone();
                let run = Box::new(move |words: &[&str]| output_of(&mut within(&namespace, words)));
                all.push(network(name, run, Some(carrier)));
            }
            Err(error) => println!("left out: {name}: {error}"),
        }
    }
    all
}

/// A program that carries the packets of a network namespace, and that namespace.
struct Carrier {
    namespace: String,
    program: Ending,
}

impl Carrier {
    /// The program's words stand before and behind the namespace's path.
    fn start(world: &World, before: &[&str], behind: &[&str]) -> Outcome<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{}-{count}", world.machine());
        output_of(Command::new("ip").args(["netns", "add", &namespace]))?;
        let path = format!("/run/netns/{namespace}");
        let netns: &[&str] = match before[0] {
            "pasta" => &["--netns", &path],
            _ => &[&path],
        };
        let mut command = world.command_on_machine(&[before, netns, behind].concat());
        let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
        let carrier = Self {
            program: Ending(silent.spawn()?),
            namespace,
        };
        let has_a_way_out = || {
            let routes = ["-n", &carrier.namespace, "route", "show", "default"];
            let routes = output_of(Command::new("ip").args(routes)).ok()?;
            (!routes.is_empty()).then_some(())
        };
        wait::until(Duration::from_secs(5), has_a_way_out).ok_or("it makes no way out")?;
        Ok(carrier)
    }

    fn cpu(&self) -> Outcome<f64> {
        cpu(&format!("/proc/{}/stat", self.program.0.id()), 0)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let _ = self.program.0.kill();
        let _ = Command::new("ip")
            .args(["netns", "del", &self.namespace])
            .status();
    }
}

/// A process that ends with this.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tcp(network: &Network, options: &[&str]) -> Outcome<f64> {
    let report = iperf(network, options)?;
    gigabits(&report["end"]["sum_received"])
}

/// What arrives of as much as can be sent.
fn udp(network: &Network) -> Outcome<f64> {
    let report = iperf(network, &["-u", "-b", "0", "-l", "1400", "-p", DATAGRAMS])?;
    let sum = &report["end"]["sum"];
    let lost = sum["lost_percent"]
        .as_f64()
        .ok_or("no loss in the report")?;
    Ok(gigabits(sum)? * (1.0 - lost / 100.0))
}

fn iperf(network: &Network, options: &[&str]) -> Outcome<Value> {
    let words = [&["iperf3", "-c", SERVER, "-J", "-t", SECONDS], options].concat();
    Ok(serde_json::from_str(&(network.run)(&words)?)?)
}

fn gigabits(sum: &Value) -> Outcome<f64> {
    let bits = sum["bits_per_second"].as_f64();
    Ok(bits.ok_or("no throughput in the report")? / 1e9)
}

/// Seconds, and seconds of CPU in the client and whoever carries its packets.
fn download(network: &Network) -> Outcome<(f64, f64)> {
    let url = format!("http://{SERVER}/");
    let format = "%{time_total} %{size_download}";
    let cpu = || {
        let carrier = network.carrier.as_ref().map_or(Ok(0.0), Carrier::cpu);
        Ok::<_, Box<dyn Error>>(carrier? + cpu("/proc/self/stat", 2)?)
    };
    let before = cpu()?;
    let told = (network.run)(&["curl", "-s", "-o", "/dev/null", "-w", format, &url])?;
    let (seconds, length) = told.trim().split_once(' ').ok_or("curl says nothing")?;
    if length.parse() != Ok(LENGTH) {
        return Err(format!("{length} bytes are not all").into());
    }
    Ok((seconds.parse()?, cpu()? - before))
}

/// Microseconds from before a connection to behind the answer to its first byte.
fn latency(network: &Network) -> Outcome<f64> {
    const CLIENT: &str = r#"use IO::Socket::INET; use Time::HiRes "time";
        my ($host, $count) = @ARGV; my $before = time;
        for (1..$count) {
            my $peer = IO::Socket::INET->new(PeerAddr => $host, PeerPort => 7) or die "connect: $!";
            syswrite($peer, "x"); sysread($peer, my $answer, 1) or die "read: $!"; }
        printf "%.2f\n", (time - $before) / $count * 1e6;"#;
    let told = (network.run)(&["perl", "-e", CLIENT, SERVER, CONNECTIONS])?;
    Ok(told.trim().parse()?)
}

/// Seconds of CPU in user and system mode: of a process, or, two fields on, of the children that it has waited for (proc(5)).
fn cpu(stat: &str, skip: usize) -> Outcome<f64> {
    /// `USER_HZ`, which is the same on all machines that Linux calls its own.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string(stat)?;
    let (_, fields) = text.rsplit_once(')').ok_or("no name in a stat file")?;
    let ticks = fields.split_whitespace().skip(11 + skip).take(2);
    let ticks: f64 = ticks.map(|field| field.parse::<f64>().unwrap_or(0.0)).sum();
    Ok(ticks / TICKS)
}

fn serve_downloads(listener: TcpListener) {
    thread::spawn(move || {
        let piece = vec![b'x'; 1 << 20];
        for mut stream in listener.incoming().flatten() {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(head.as_bytes());
            for _ in 0..LENGTH >> 20 {
                if stream.write_all(&piece).is_err() {
                    break;
                }
            }
        }
    });
}

fn serve_echoes(listener: TcpListener) {
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            let mut byte = [0];
            let _ = stream.read_exact(&mut byte);
            let _ = stream.write_all(&byte);
        }
    });
}

fn within(namespace: &str, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net=/run/netns/{namespace}"))
        .args(words);
    command
}

fn output_of(command: &mut Command) -> Outcome<String> {
    let done = command.stdin(Stdio::null()).output()?;
    if !done.status.success() {
        let told = [done.stdout, done.stderr].concat();
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&told)).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| Path::new(&directory).join(program).is_file())
}

/// Medians; in parentheses, times the machine's own network and times slirp4netns.
fn table(networks: &mut [Network]) -> String {
    let names: Vec<_> = networks.iter().map(|network| network.name).collect();
    let mut text = format!("{:18}", "");
    for name in &names {
        text += &format!(" {name:>22}");
    }
    for (number, (what, _)) in MEASURES.into_iter().enumerate() {
        text += &format!("\n{what:18}");
        let medians: Vec<_> = networks
            .iter_mut()
            .map(|network| median(&mut network.samples[number]))
            .collect();
        let slirp = names.iter().position(|name| *name == "slirp4netns");
        let slirp = slirp.and_then(|at| medians[at]);
        for median in &medians {
            let times = |other: Option<f64>| match median.zip(other) {
                Some((own, other)) => format!("{:.2}", own / other),
                None => "-".to_owned(),
            };
            let own = median.map_or_else(|| "-".to_owned(), |own| format!("{own:.2}"));
            let cell = format!("{own} ({}, {})", times(medians[0]), times(slirp));
            text += &format!(" {cell:>22}");
        }
    }
    text + "\n"
}

fn median(samples: &mut [f64]) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}
