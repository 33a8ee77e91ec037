//! `agent agents` and `agent drain`.

use std::time::Duration;

use protocol::service::{self, AgentInfo, AgentState, ProblemCode, path};

use super::super::CommandError;
use super::super::printing::{aligned, print};
use super::{client, print_json, show, wait};
use crate::cli::{Agents, Drain};
use crate::clock::unix_ms;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;
use crate::sink::sanitise;

/// How often an agent is looked at that is waited for.
const LOOK: Duration = Duration::from_secs(1);

/// Lists agents, or forgets some.
pub fn agents(arguments: &Agents, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    wait(async {
        if !arguments.remove.is_empty() {
            for agent in &arguments.remove {
                client.delete(&path::of_agent(path::AGENT, *agent)).await?;
            }
            return Ok(ExitCode::Success);
        }
        let mut all: Vec<AgentInfo> = Vec::new();
        let mut next = None;
        loop {
            let address = match next {
                None => path::AGENTS.to_owned(),
                Some(after) => format!("{}?after={after}", path::AGENTS),
            };
            let page: service::Agents = client.get(&address).await?;
            all.extend(page.agents);
            match page.next {
                Some(after) if next < Some(after) => next = Some(after),
                _ => break,
            }
        }
        match arguments.json {
            true => print_json(&all)?,
            false => print(&table(&all))?,
        }
        Ok(ExitCode::Success)
    })
}

/// Has an agent take no more jobs, or some again.
pub fn drain(arguments: &Drain, machine: &Machine) -> Result<ExitCode, CommandError> {
    let client = client(&arguments.server, machine)?;
    let address = path::of_agent(path::AGENT_DRAIN, arguments.agent);
    wait(async {
        if arguments.undo {
            client.delete(&address).await?;
            return Ok(ExitCode::Success);
        }
        let mut state: service::Drain = client.post(&address, &()).await?;
        let at = path::of_agent(path::AGENT, arguments.agent);
        let info: AgentInfo = client.get(&at).await?;
        if info.state == AgentState::Offline {
            complain(format_args!(
                "agent {} ({}) is not there: it was seen {}, and takes no more jobs when it is back",
                info.id,
                sanitise(&info.description.name),
                show::ago(info.seen_at, unix_ms())
            ));
        }
        while arguments.wait && !state.holds.is_empty() {
            tokio::time::sleep(LOOK).await;
            match client.get::<AgentInfo>(&at).await {
                Ok(info) => state.holds = info.holds,
                // One for one job is forgotten behind it.
                Err(error) if error.code() == Some(ProblemCode::NotFound) => state.holds.clear(),
                Err(error) => return Err(error.into()),
            }
        }
        if !state.holds.is_empty() {
            let jobs: Vec<String> = state.holds.iter().map(|id| id.job.to_string()).collect();
            print(&format!("still runs {}\n", jobs.join(", ")))?;
        }
        Ok(ExitCode::Success)
    })
}

fn table(agents: &[AgentInfo]) -> String {
    let now = unix_ms();
    let head = [
        "AGENT", "NAME", "STATE", "JOBS", "LABELS", "VERSION", "SEEN",
    ]
    .map(str::to_owned);
    let rows = agents.iter().map(|agent| {
        let description = &agent.description;
        let labels: Vec<String> = description
            .labels
            .iter()
            .map(|(name, value)| format!("{}={}", sanitise(name), sanitise(value)))
            .collect();
        let state = match (agent.state, agent.draining) {
            (AgentState::Online, false) => "online",
            (AgentState::Online, true) => "draining",
            (AgentState::Offline, _) => "offline",
        };
        [
            agent.id.to_string(),
            sanitise(&description.name),
            state.to_owned(),
            format!("{}/{}", agent.holds.len(), description.slots),
            labels.join(","),
            sanitise(&description.version),
            show::ago(agent.seen_at, now),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    aligned(&rows)
}
