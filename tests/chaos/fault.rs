//! What goes wrong, and how it becomes right again.

use std::fmt;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::draw::Draw;
use crate::link::Mood;

/// Something that goes wrong with one program or one line, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    AgentKilled(usize),
    ServerKilled(usize),
    /// Longer than a lease lasts, sometimes.
    AgentPaused(usize),
    ServerPaused(usize),
    JobKilled(usize),
    AgentDrained(usize),
    Line(usize, Mood),
    /// The agent is led to another server.
    Led(usize, usize),
    DatabaseCut,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentKilled(_) => f.write_str("agents killed"),
            Self::ServerKilled(_) => f.write_str("servers killed"),
            Self::AgentPaused(_) => f.write_str("agents paused"),
            Self::ServerPaused(_) => f.write_str("servers paused"),
            Self::JobKilled(_) => f.write_str("processes of jobs killed"),
            Self::AgentDrained(_) => f.write_str("agents drained"),
            Self::Line(_, Mood::Slow) => f.write_str("lines slow"),
            Self::Line(_, Mood::Silent) => f.write_str("lines silent"),
            Self::Line(..) => f.write_str("lines cut"),
            Self::Led(..) => f.write_str("agents led to another server"),
            Self::DatabaseCut => f.write_str("connections of the database cut"),
        }
    }
}

impl Fault {
    pub(crate) fn draw(draw: &mut Draw, servers: usize, agents: usize) -> Self {
        let (server, agent) = (draw.below(servers), draw.below(agents));
        match draw.below(14) {
            0..3 => Self::AgentKilled(agent),
            3 => Self::ServerKilled(server),
            4 | 5 => Self::AgentPaused(agent),
            6 => Self::ServerPaused(server),
            7 => Self::JobKilled(agent),
            8 => Self::AgentDrained(agent),
            9 => Self::Line(agent, Mood::Slow),
            10 => Self::Line(agent, Mood::Silent),
            11 => Self::Line(agent, Mood::Cut),
            12 => Self::DatabaseCut,
            _ => Self::Led(agent, server),
        }
    }

    /// Has it go wrong; whether there was anything that could.
    pub(crate) fn strike(self, cluster: &mut Cluster<'_>) -> bool {
        match self {
            Self::AgentKilled(agent) => cluster.kill_agent(agent),
            Self::ServerKilled(server) => cluster.kill_server(server),
            Self::AgentPaused(agent) => cluster.pause_agent(agent, true),
            Self::ServerPaused(server) => cluster.pause_server(server, true),
            Self::JobKilled(agent) => cluster.kill_job(agent),
            Self::AgentDrained(agent) => cluster.drain_agent(agent),
            Self::Line(agent, mood) => {
                cluster.links[agent].be(mood);
                true
            }
            Self::Led(agent, server) => {
                cluster.lead(agent, server);
                true
            }
            Self::DatabaseCut => cluster.cut_database(),
        }
    }

    /// Makes it right again, if that is possible already.
    pub(crate) fn mend(self, cluster: &mut Cluster<'_>) -> bool {
        match self {
            Self::AgentDrained(agent) if !cluster.is_drained(agent) => return false,
            Self::AgentKilled(agent) | Self::AgentDrained(agent) => cluster.start_agent(agent),
            Self::ServerKilled(server) => cluster.start_server(server),
            Self::AgentPaused(agent) => drop(cluster.pause_agent(agent, false)),
            Self::ServerPaused(server) => drop(cluster.pause_server(server, false)),
            Self::Line(agent, _) => cluster.links[agent].be(Mood::Good),
            Self::JobKilled(_) | Self::Led(..) | Self::DatabaseCut => {}
        }
        true
    }

    /// How long it stays wrong.
    fn length(self, draw: &mut Draw) -> Duration {
        let most = match self {
            Self::AgentPaused(_) | Self::Line(..) => 9,
            Self::ServerPaused(_) => 4,
            _ => 3,
        };
        draw.between(Duration::from_millis(50), Duration::from_secs(most))
    }
}

/// What is wrong at the moment.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Vec<(Instant, Fault)>);

impl Trouble {
    /// Has something go wrong, unless everything is wrong already, or this is; what it was.
    pub(crate) fn strike(&mut self, cluster: &mut Cluster<'_>, draw: &mut Draw) -> Option<Fault> {
        let fault = Fault::draw(draw, cluster.servers(), cluster.agents());
        let length = fault.length(draw);
        if self.0.len() >= cluster.agents() || !fault.strike(cluster) {
            return None;
        }
        self.0.push((Instant::now() + length, fault));
        Some(fault)
    }

    /// Makes right what was wrong for long enough.
    pub(crate) fn mend(&mut self, cluster: &mut Cluster<'_>, now: Instant) {
        self.0
            .retain(|(until, fault)| *until > now || !fault.mend(cluster));
    }

    /// Makes everything right that can be right already.
    pub(crate) fn mend_all(&mut self, cluster: &mut Cluster<'_>) {
        self.0.retain(|(_, fault)| !fault.mend(cluster));
    }
}
