//! A network of its own for each agent, with one cable to where its server can be reached: what goes wrong with it goes wrong in
//! the kernel, below every program.
//!
//! ```text
//! [namespace of agent 3: end 10.99.3.2] --veth--> [namespace of the hub: 10.99.3.1, where the agent's line begins]
//! ```

use std::fmt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is wrong with a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// A third of all packets is lost, either way.
    Lossy,
    /// Some kilobytes a second, and a queue that is short.
    Narrow,
    /// Nothing comes through, and nobody is told.
    Dead,
    /// The kernel knows that there is none.
    Unplugged,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lossy => "lossy",
            Self::Narrow => "narrow",
            Self::Dead => "dead",
            Self::Unplugged => "unplugged",
        })
    }
}

/// The network namespaces. Dropped, they go.
#[derive(Debug)]
pub(crate) struct Cables {
    name: String,
    count: usize,
}

impl Cables {
    pub(crate) fn lay(count: usize) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cables = Self {
            name: format!("slc{}-{number}", std::process::id()),
            count,
        };
        let hub = cables.hub();
        run("ip", &["netns", "add", &hub]);
        run("ip", &["-n", &hub, "link", "set", "lo", "up"]);
        for agent in 0..count {
            let (space, near) = (cables.of(agent), format!("agent{agent}"));
            run("ip", &["netns", "add", &space]);
            run("ip", &["-n", &space, "link", "set", "lo", "up"]);
            run(
                "ip",
                &[
                    "-n", &space, "link", "add", "end", "type", "veth", "peer", "name", &near,
                    "netns", &hub,
                ],
            );
            for (space, device, last) in [(&space, "end", 2), (&hub, near.as_str(), 1)] {
                let address = format!("10.99.{agent}.{last}/30");
                run("ip", &["-n", space, "addr", "add", &address, "dev", device]);
                run("ip", &["-n", space, "link", "set", device, "up"]);
            }
        }
        cables
    }

    /// The namespace in which lines begin.
    pub(crate) fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    /// Where an agent's line begins, as the agent sees it.
    pub(crate) fn address(agent: usize) -> String {
        format!("10.99.{agent}.1")
    }

    /// The namespace of an agent.
    pub(crate) fn of(&self, agent: usize) -> String {
        format!("{}-{agent}", self.name)
    }

    pub(crate) fn spoil(&self, agent: usize, defect: Defect) {
        let space = self.of(agent);
        match defect {
            Defect::Lossy => drop_packets(&space, "numgen random mod 3 < 1 drop"),
            Defect::Dead => drop_packets(&space, "drop"),
            Defect::Narrow => run(
                "tc",
                &[
                    "-n", &space, "qdisc", "replace", "dev", "end", "root", "tbf", "rate",
                    "128kbit", "burst", "4kb", "limit", "16kb",
                ],
            ),
            Defect::Unplugged => run("ip", &["-n", &space, "link", "set", "end", "down"]),
        }
    }

    pub(crate) fn mend(&self, agent: usize, defect: Defect) {
        let space = self.of(agent);
        match defect {
            Defect::Lossy | Defect::Dead => nft(&space, "delete table inet chaos"),
            Defect::Narrow => run("tc", &["-n", &space, "qdisc", "del", "dev", "end", "root"]),
            Defect::Unplugged => run("ip", &["-n", &space, "link", "set", "end", "up"]),
        }
    }
}

impl Drop for Cables {
    fn drop(&mut self) {
        for space in (0..self.count)
            .map(|agent| self.of(agent))
            .chain([self.hub()])
        {
            let _ = Command::new("ip").args(["netns", "del", &space]).output();
        }
    }
}

/// Has a rule for what goes out of a namespace by its cable, and one for what comes in.
fn drop_packets(space: &str, rule: &str) {
    nft(
        space,
        &format!(
            "table inet chaos {{
                chain out {{ type filter hook output priority 0; oifname \"end\" {rule}; }}
                chain in {{ type filter hook input priority 0; iifname \"end\" {rule}; }}
            }}"
        ),
    );
}

fn nft(space: &str, words: &str) {
    let net = format!("--net=/run/netns/{space}");
    run("nsenter", &[&net, "nft", words]);
}

fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).output();
    let done = done.unwrap_or_else(|error| panic!("run {program}: {error}"));
    assert!(
        done.status.success(),
        "{program} {words:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
