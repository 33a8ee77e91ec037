//! What goes wrong, and how it becomes right again.

use std::fmt;
use std::time::{Duration, Instant};

use crate::cable::Defect;
use crate::cluster::{Cluster, Who};
use crate::draw::Draw;
use crate::link::Mood;

/// A clock is set by so much at most, seconds.
const STEP: usize = 7_200;

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
    Cable(usize, Defect),
    DiskFull(Who),
    /// By so many seconds.
    ClockSet(Who, i64),
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
            Self::Cable(_, defect) => write!(f, "cables {defect}"),
            Self::DiskFull(Who::Agent(_)) => f.write_str("disks of agents full"),
            Self::DiskFull(Who::Server(_)) => f.write_str("disks of servers full"),
            Self::ClockSet(Who::Agent(_), _) => f.write_str("clocks of agents set"),
            Self::ClockSet(Who::Server(_), _) => f.write_str("clocks of servers set"),
            Self::Led(..) => f.write_str("agents led to another server"),
            Self::DatabaseCut => f.write_str("connections of the database cut"),
        }
    }
}

impl Fault {
    pub(crate) fn draw(draw: &mut Draw, servers: usize, agents: usize) -> Self {
        let (server, agent) = (draw.below(servers), draw.below(agents));
        match draw.below(23) {
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
            13 => Self::Cable(agent, Defect::Lossy),
            14 => Self::Cable(agent, Defect::Narrow),
            15 => Self::Cable(agent, Defect::Dead),
            16 => Self::Cable(agent, Defect::Unplugged),
            17 | 18 => Self::DiskFull(Who::Agent(agent)),
            19 => Self::DiskFull(Who::Server(server)),
            20 => Self::ClockSet(Who::Agent(agent), step(draw)),
            21 => Self::ClockSet(Who::Server(server), step(draw)),
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
            Self::Cable(agent, defect) => {
                cluster.cables.spoil(agent, defect);
                true
            }
            Self::DiskFull(who) => cluster.fill_disk(who),
            Self::ClockSet(who, seconds) => {
                cluster.set_clock(who, seconds);
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
            Self::Cable(agent, defect) => cluster.cables.mend(agent, defect),
            Self::DiskFull(who) => cluster.make_room(who),
            Self::ClockSet(who, _) => cluster.set_clock(who, 0),
            Self::JobKilled(_) | Self::Led(..) | Self::DatabaseCut => {}
        }
        true
    }

    /// Whether the two cannot be wrong at a time, since one's end would be the other's.
    fn excludes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Cable(one, _), Self::Cable(two, _))
            | (Self::Line(one, _), Self::Line(two, _)) => one == two,
            (Self::DiskFull(one), Self::DiskFull(two))
            | (Self::ClockSet(one, _), Self::ClockSet(two, _)) => one == two,
            _ => false,
        }
    }

    /// How long it stays wrong.
    fn length(self, draw: &mut Draw) -> Duration {
        let most = match self {
            Self::AgentPaused(_) | Self::Line(..) | Self::Cable(..) => 9,
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
        let is_possible = self.0.len() < cluster.agents()
            && !self.0.iter().any(|(_, other)| fault.excludes(*other));
        if !is_possible || !fault.strike(cluster) {
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

/// Forwards or back.
fn step(draw: &mut Draw) -> i64 {
    let seconds = i64::try_from(draw.below(2 * STEP)).unwrap_or_default();
    seconds - i64::try_from(STEP).unwrap_or_default()
}
