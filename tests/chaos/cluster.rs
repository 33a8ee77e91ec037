//! Servers and agents of the built binary, on one machine, and what can be done to them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use harness::{Running, TestEnvironment, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::database::Database;
use crate::link::Link;
use crate::objects::{KEY, Objects, STORAGE};

/// Leases that are over soon, and jobs that may be lost as often as chance has it.
const SERVER: &str =
    "lease: { accept: 3s, lasts: 4s, heartbeat: 1s }\nattempts: 1000\nrequests_per_second: 0\n";
/// How long a program may take to be there, or to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that may be dead at the moment.
#[derive(Debug)]
struct Program {
    running: Option<Running>,
    paused: bool,
    /// It was asked to end. A second time would be an order to drop everything.
    draining: bool,
}

impl Program {
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

/// All of it.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    env: &'a TestEnvironment,
    /// What several servers have in common.
    shared: Option<(Database, Objects)>,
    addresses: Vec<SocketAddr>,
    servers: Vec<Program>,
    agents: Vec<Program>,
    pub(crate) links: Vec<Link>,
    administrator: String,
    registration: String,
}

impl<'a> Cluster<'a> {
    pub(crate) fn start(env: &'a TestEnvironment, servers: usize, agents: usize) -> Self {
        let addresses: Vec<_> = (0..servers).map(|_| free()).collect();
        let dead = |_| Program {
            running: None,
            paused: false,
            draining: false,
        };
        let mut cluster = Self {
            env,
            shared: (servers > 1).then(|| (Database::start(), Objects::start())),
            servers: (0..servers).map(dead).collect(),
            agents: (0..agents).map(dead).collect(),
            links: (0..agents)
                .map(|agent| Link::to(addresses[agent % servers]))
                .collect(),
            addresses,
            administrator: String::new(),
            registration: String::new(),
        };
        for server in 0..servers {
            env.write(format!("servers/{server}/server.yml"), SERVER);
            cluster.start_server(server);
            if server == 0 {
                // The others find that somebody has a token.
                let token = wait::until(PATIENCE, || {
                    fs::read_to_string(cluster.place("servers/0/admin-token")).ok()
                });
                cluster.administrator = token.expect("the first token").trim().to_owned();
                assert!(
                    wait::until(PATIENCE, || cluster.ask(&["jobs", "--json"])).is_some(),
                    "no server comes up"
                );
            }
        }
        cluster.registration = wait::until(PATIENCE, || {
            cluster.say(&["tokens", "create", "chaos", "--registration"])
        })
        .expect("make a registration token");
        for agent in 0..agents {
            env.write(format!("agents/{agent}/config.yml"), "{}\n");
            cluster.start_agent(agent);
        }
        cluster
    }

    fn place(&self, path: &str) -> PathBuf {
        self.env.root().join(path)
    }

    pub(crate) fn start_server(&mut self, server: usize) {
        if self.servers[server].running.is_some() {
            return;
        }
        let data = self
            .place(&format!("servers/{server}"))
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
        let data = self.place(&format!("agents/{agent}/data"));
        let spawned = self.env.agent(words).variable("SLIPWAY_DATA", data).spawn();
        self.agents[agent] = Program {
            running: Some(spawned),
            paused: false,
            draining: false,
        };
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
        let program = &mut self.agents[agent];
        if let Some(running) = program.running.take_if(|running| running.is_over()) {
            let _ = running.finish().expect(0);
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

    /// Asks a server that answers for something, as JSON; `None` while none does.
    pub(crate) fn ask(&self, words: &[&str]) -> Option<Value> {
        serde_json::from_str(&self.say(words)?).ok()
    }

    /// The same, as it is printed.
    pub(crate) fn say(&self, words: &[&str]) -> Option<String> {
        let bytes = self.bytes(words)?;
        String::from_utf8(bytes)
            .ok()
            .map(|text| text.trim().to_owned())
    }

    /// The same, as bytes.
    pub(crate) fn bytes(&self, words: &[&str]) -> Option<Vec<u8>> {
        let alive = self
            .servers
            .iter()
            .position(|server| server.running.is_some() && !server.paused)?;
        let url = format!("http://{}", self.addresses[alive]);
        let agent = self.env.agent(words);
        let agent = agent
            .variable("SLIPWAY_SERVER", url)
            .variable("SLIPWAY_TOKEN", &self.administrator);
        // Whoever asks is killed with nobody: a server that dies meanwhile ends the answer.
        let agent = agent.executed_by(["timeout", "20"]);
        let done = agent.run();
        (done.code() == 0).then(|| done.stdout().to_vec())
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
