//! Servers and agents of the built binary, each with a disk and a clock of its own and each agent in a network of its own, and what
//! can be done to them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Database, Running, TestEnvironment, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::asker::Asker;
use crate::cable::Cables;
use crate::clock::{Clock, Clockwork};
use crate::disk::Disk;
use crate::link::Link;
use crate::objects::{KEY, Objects, STORAGE};

/// Leases that are over soon, and jobs that may be lost as often as chance has it.
const SERVER: &str =
    "lease: { accept: 3s, lasts: 4s, heartbeat: 1s }\nattempts: 1000\nrequests_per_second: 0\n";
/// How long a program may take to be there, or to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit code of a program that SIGTERM has ended, not by its own doing.
const TERMINATED: i32 = 143;

/// Bytes of disks: many times what jobs write, of an agent's two, and of all.
const DISKS: (&str, &str) = ("64m", "192m");

/// Disks are small.
const AGENT: &str = "agent: { free_disk: 8MiB }\n";

/// One that may be dead at the moment.
#[derive(Debug)]
struct Program {
    running: Option<Running>,
    paused: bool,
    /// It was asked to end. A second time would be an order to drop everything.
    draining: bool,
    clock: Clock,
    disk: Disk,
}

impl Program {
    fn new(env: &TestEnvironment, clockwork: &Clockwork, name: &str, disk: &str) -> Self {
        let at = env.root().join(name);
        let disk = Disk::mount(&at.join("disk"), disk);
        Self {
            running: None,
            paused: false,
            draining: false,
            clock: Clock::new(clockwork, &at.join("clock")),
            disk,
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            running.signal(signal);
        }
    }

    /// Ends it as a machine that loses its power does. Whether there was something to end.
    fn kill(&mut self) -> bool {
        self.paused = false;
        self.running.take().is_some_and(|mut running| {
            running.signal(Signal::KILL);
            running.wait_for_end();
            true
        })
    }
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Agent(usize),
    Server(usize),
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    env: &'a TestEnvironment,
    addresses: Vec<SocketAddr>,
    servers: Vec<Program>,
    agents: Vec<Program>,
    pub(crate) links: Vec<Link>,
    pub(crate) cables: Cables,
    /// What several servers have in common; the last to go.
    shared: Option<(Database, Objects)>,
    asker: Asker<'a>,
    registration: String,
}

impl<'a> Cluster<'a> {
    pub(crate) fn start(env: &'a TestEnvironment, servers: usize, agents: usize) -> Self {
        let addresses: Vec<_> = (0..servers).map(|_| free()).collect();
        let cables = Cables::lay(agents);
        let link = |agent| {
            let server = addresses[agent % servers];
            Link::to(server, &cables.hub(), &Cables::address(agent))
        };
        let clockwork = Clockwork::make(env.root());
        let all = |what: &str, count: usize, disk: &str| {
            let names = (0..count).map(|number| format!("{what}/{number}"));
            names
                .map(|name| Program::new(env, &clockwork, &name, disk))
                .collect()
        };
        let mut cluster = Self {
            env,
            shared: (servers > 1).then(|| (Database::start(), Objects::start())),
            servers: all("servers", servers, DISKS.1),
            agents: all("agents", agents, DISKS.0),
            links: (0..agents).map(link).collect(),
            asker: Asker::new(env, addresses.clone()),
            addresses,
            cables,
            registration: String::new(),
        };
        for server in 0..servers {
            env.write(format!("servers/{server}/disk/data/server.yml"), SERVER);
            cluster.start_server(server);
            if server == 0 {
                // The others find that somebody has a token.
                let token = wait::until(PATIENCE, || {
                    fs::read_to_string(cluster.place("servers/0/disk/data/admin-token")).ok()
                });
                cluster.asker.token = token.expect("the first token").trim().to_owned();
                let up = wait::until(PATIENCE, || cluster.asker.ask(&["jobs", "--json"]));
                assert!(up.is_some(), "no server comes up");
            }
        }
        cluster.registration = wait::until(PATIENCE, || {
            let words = ["tokens", "create", "chaos", "--registration"];
            cluster.asker.say(&words)
        })
        .expect("make a registration token");
        for agent in 0..agents {
            env.write(format!("agents/{agent}/config.yml"), AGENT);
            cluster.start_agent(agent);
        }
        cluster
    }

    /// Who asks: it can do that while things go wrong.
    pub(crate) fn take_asker(&mut self) -> Asker<'a> {
        let nobody = Asker::new(self.env, self.addresses.clone());
        std::mem::replace(&mut self.asker, nobody)
    }

    fn place(&self, path: &str) -> PathBuf {
        self.env.root().join(path)
    }

    pub(crate) fn start_server(&mut self, server: usize) {
        if self.servers[server].running.is_some() {
            return;
        }
        let data = self
            .place(&format!("servers/{server}/disk/data"))
            .display()
            .to_string();
        let listen = self.addresses[server].to_string();
        let mut words = vec!["server", "--listen", &listen, "--data", &data];
        let database = self.shared.as_ref().map(|(database, _)| database.url());
        if let Some(database) = &database {
            words.extend(["--database", database, "--storage", STORAGE]);
        }
        let mut agent = self.env.agent(words);
        if let Some((_, objects)) = &self.shared {
            agent = agent
                .variable("AWS_ENDPOINT", &objects.endpoint)
                .variable("AWS_ALLOW_HTTP", "true")
                .variable("AWS_REGION", "us-east-1")
                .variable("AWS_ACCESS_KEY_ID", KEY.0)
                .variable("AWS_SECRET_ACCESS_KEY", KEY.1);
        }
        for (name, value) in self.servers[server].clock.variables() {
            agent = agent.variable(name, value);
        }
        self.servers[server].running = Some(agent.spawn());
    }

    pub(crate) fn start_agent(&mut self, agent: usize) {
        if self.agents[agent].running.is_some() {
            return;
        }
        let url = format!("http://{}", self.links[agent].address);
        let name = format!("agent-{agent}");
        let words = [
            "start",
            "--server",
            &url,
            "--token",
            &self.registration,
            "--name",
            &name,
            "--slots",
            "2",
        ];
        let program = &self.agents[agent];
        let mut call = self
            .env
            .agent(words)
            .in_network(&self.cables.of(agent))
            .variable(
                "SLIPWAY_DATA",
                self.place(&format!("agents/{agent}/disk/data")),
            )
            .variable(
                "SLIPWAY_CONFIG",
                self.place(&format!("agents/{agent}/config.yml")),
            );
        for (name, value) in program.clock.variables() {
            call = call.variable(name, value);
        }
        let program = &mut self.agents[agent];
        program.running = Some(call.spawn());
        program.paused = false;
        program.draining = false;
    }

    fn program(&mut self, who: Who) -> &mut Program {
        match who {
            Who::Agent(agent) => &mut self.agents[agent],
            Who::Server(server) => &mut self.servers[server],
        }
    }

    /// Has a program's clock be wrong by so many seconds.
    pub(crate) fn set_clock(&mut self, who: Who, seconds: i64) {
        self.program(who).clock.set(seconds);
    }

    /// Fills a program's disk, if it keeps something there.
    pub(crate) fn fill_disk(&mut self, who: Who) -> bool {
        let keeps = matches!(who, Who::Agent(_)) || self.shared.is_none();
        if keeps {
            self.program(who).disk.fill();
        }
        keeps
    }

    pub(crate) fn make_room(&mut self, who: Who) {
        self.program(who).disk.make_room();
    }

    /// Where logs and archives are.
    pub(crate) fn storage(&self) -> PathBuf {
        match &self.shared {
            Some((_, objects)) => objects.place().join("bucket/ci/logs"),
            None => self.place("servers/0/disk/data/logs"),
        }
    }

    /// Every place where something that was printed may be.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        let shared = self.shared.iter();
        let shared = shared.flat_map(|(database, objects)| [database.place(), objects.place()]);
        let own = ["servers", "agents"].map(|name| self.place(name));
        shared.map(Path::to_owned).chain(own).collect()
    }

    pub(crate) fn kill_server(&mut self, server: usize) -> bool {
        self.servers[server].kill()
    }

    pub(crate) fn kill_agent(&mut self, agent: usize) -> bool {
        self.agents[agent].kill()
    }

    pub(crate) fn pause_server(&mut self, server: usize, pause: bool) -> bool {
        pause_program(&mut self.servers[server], pause)
    }

    pub(crate) fn pause_agent(&mut self, agent: usize, pause: bool) -> bool {
        pause_program(&mut self.agents[agent], pause)
    }

    /// Kills the process of one of an agent's jobs.
    pub(crate) fn kill_job(&self, agent: usize) -> bool {
        let Some(daemon) = &self.agents[agent].running else {
            return false;
        };
        let children = format!("/proc/{0}/task/{0}/children", daemon.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        let job = children
            .split_ascii_whitespace()
            .find_map(|id| id.parse().ok().and_then(Pid::from_raw));
        // It may have ended by itself.
        job.is_some_and(|job| kill_process(job, Signal::KILL).is_ok())
    }

    /// Asks an agent to end behind the jobs that it has.
    pub(crate) fn drain_agent(&mut self, agent: usize) -> bool {
        let program = &mut self.agents[agent];
        if program.running.is_none() || program.draining {
            return false;
        }
        program.signal(Signal::TERM);
        program.draining = true;
        true
    }

    /// Whether an agent that was asked to end has ended: well, unless something else has ended it. It may need a server for that.
    pub(crate) fn is_drained(&mut self, agent: usize) -> bool {
        let identity = self.place(&format!("agents/{agent}/disk/data/agent.json"));
        let is_known = identity.exists();
        let program = &mut self.agents[agent];
        if let Some(running) = program.running.take_if(|running| running.is_over()) {
            let finished = running.finish();
            // One that has only begun to start has no way of its own to end yet, and one that nobody knows has nothing to end.
            if finished.code() != TERMINATED && is_known {
                let _ = finished.expect(0);
            }
        }
        program.running.is_none()
    }

    /// Ends all connections of the database, where it is one that has some.
    pub(crate) fn cut_database(&self) -> bool {
        let database = self.shared.as_ref().map(|(database, _)| database);
        database.is_some_and(Database::cut)
    }

    /// Leads an agent to another server.
    pub(crate) fn lead(&self, agent: usize, server: usize) {
        self.links[agent].lead_to(self.addresses[server % self.addresses.len()]);
    }

    pub(crate) fn servers(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Everything ends well.
    pub(crate) fn end(mut self) {
        for agent in 0..self.agents.len() {
            let _ = self.drain_agent(agent);
        }
        for agent in 0..self.agents.len() {
            let drained = wait::until(PATIENCE, || self.is_drained(agent).then_some(()));
            assert!(drained.is_some(), "agent {agent} does not end");
        }
        for server in &mut self.servers {
            server.signal(Signal::TERM);
            if let Some(running) = server.running.take() {
                let _ = running.finish().expect(0);
            }
        }
    }
}

fn pause_program(program: &mut Program, pause: bool) -> bool {
    let does_something = program.running.is_some() && program.paused != pause;
    if does_something {
        program.signal(if pause { Signal::STOP } else { Signal::CONT });
        program.paused = pause;
    }
    does_something
}

/// An address of the loopback interface that nobody has.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("find a free port");
    listener.local_addr().expect("an address")
}
