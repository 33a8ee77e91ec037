//! `agent doctor`: looks at the machine, then starts a container to see.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use ipnet::Ipv4Net;
use pipelines::plan::{Action, Network, Resources};
use protocol::WorkspaceMode;
use runtime::doctor::{Check, State, examine, examine_data};
use runtime::network::PodError;
use runtime::userns;

use super::CommandError;
use super::error::starting;
use crate::backend::{
    Backend, BackendOptions, ConnectError, Containers, Exit, ExitStatus, JobRequest, RunningStep,
    StepRequest,
};
use crate::chain::chain;
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::machine::Machine;

/// What the trial container does: with a layer below, a directory that was removed and made again must be empty, which
/// an overlay without its marks gets wrong.
const TRIAL: &str = "rm -r /etc\nmkdir /etc\n[ -z \"$(ls -A /etc)\" ]\n";
/// The name of the last line.
const CONTAINER: &str = "container";
/// And of the one behind it.
const NETWORK: &str = "network";

/// Prints a line a check and runs a trial container.
///
/// # Errors
/// When the machine's configuration or data directory cannot be used.
pub fn execute(machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    machine.create_data()?;
    let mut checks = userns::detect().map_or_else(|_| Vec::new(), |map| examine(&map));
    checks.push(examine_data(&machine.data));
    let tree = tempfile::tempdir().map_err(starting("make a directory for the trial"))?;
    let options = BackendOptions {
        data: machine.data.clone(),
        tree: tree.path().to_owned(),
        workspace: WorkspaceMode::Overlay,
        keep: false,
        config,
    };
    let started = Instant::now();
    let last = match Containers::connect(options) {
        Ok(containers) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(starting("start the async runtime"))?;
            let container = verdict(runtime.block_on(trial(&containers)), started.elapsed());
            let network = runtime.block_on(containers.try_network());
            vec![container, network_verdict(network)]
        }
        Err(error) => vec![unable(&error)],
    };
    let runs = last.iter().all(|check| check.state != State::Missing);
    checks.extend(last);
    // There is nobody to tell when that fails.
    let _ = io::stdout().lock().write_all(text(&checks).as_bytes());
    Ok(if runs {
        ExitCode::Success
    } else {
        ExitCode::HostUnsupported
    })
}

/// Runs the trial in a container on the machine's own image; the error says what failed.
async fn trial(containers: &Containers) -> Result<Exit, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let image = containers
        .prepare("host", &|_| {})
        .await
        .map_err(|error| text(&error))?
        .image;
    let workspace = containers
        .open_workspace(JobRequest {
            id: "doctor",
            on_network: 0,
            directories: &[],
            uses: Arc::new(drop),
        })
        .await
        .map_err(|error| text(&error))?;
    let request = StepRequest {
        name: "doctor",
        image: &image,
        workspace: &workspace,
        action: &Action::Script {
            script: TRIAL.to_owned(),
            shell: vec!["sh".to_owned(), "-e".to_owned()],
        },
        env: IndexMap::new(),
        workdir: None,
        user: None,
        network: &Network::None,
        nesting: false,
        hostname: "doctor".to_owned(),
        resources: Resources::default(),
        followed: false,
    };
    let output = std::fs::File::options()
        .write(true)
        .open("/dev/null")
        .map_err(|error| text(&error))?;
    let mut step = containers
        .start(request, output.into())
        .await
        .map_err(|error| text(&error))?;
    let exit = step.wait().await.map_err(|error| text(&error))?;
    containers
        .close_workspace(workspace)
        .await
        .map_err(|error| text(&error))?;
    Ok(exit)
}

fn verdict(result: Result<Exit, String>, took: Duration) -> Check {
    let broken = |found: String| Check {
        name: CONTAINER,
        state: State::Missing,
        found,
        fix: Some("name a directory on ext4, xfs, btrfs or tmpfs with SLIPWAY_DATA".to_owned()),
    };
    match result {
        Ok(Exit {
            status: ExitStatus::Code(0),
            ..
        }) => Check {
            name: CONTAINER,
            state: State::Found,
            found: format!(
                "ran on an overlay inside a user namespace, {} ms in all",
                took.as_millis()
            ),
            fix: None,
        },
        Ok(exit) => broken(format!(
            "ran, but a directory made anew shows what was in the old one ({})",
            exit.status
        )),
        Err(message) => broken(message),
    }
}

/// Without private networks there are the other ones.
fn network_verdict(result: Result<Ipv4Net, PodError>) -> Check {
    match result {
        Ok(subnet) => Check {
            name: NETWORK,
            state: State::Found,
            found: format!("private, {subnet}, with a way out"),
            fix: None,
        },
        Err(error) => Check {
            name: NETWORK,
            state: State::Limited,
            found: format!("no private ones: {}", chain(&error)),
            fix: Some(match error {
                PodError::NoSubnet(_) => {
                    "name a free range in the configuration: `network: { pools: [..] }`".to_owned()
                }
                _ => "a kernel with veth, bridges, packet sockets and nf_tables with tproxy"
                    .to_owned(),
            }),
        },
    }
}

fn unable(error: &ConnectError) -> Check {
    Check {
        name: CONTAINER,
        state: State::Missing,
        found: error.to_string(),
        fix: error.hints().into_iter().next(),
    }
}

fn text(checks: &[Check]) -> String {
    let width = checks
        .iter()
        .map(|check| check.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let state = match check.state {
            State::Found => "found",
            State::Limited => "limited",
            State::Missing => "missing",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:width$}  {state:7}  {}", check.name, check.found);
        if let Some(fix) = &check.fix {
            let _ = writeln!(text, "{:width$}  {:7}  to get it: {fix}", "", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_found_and_the_next_how_to_get_more() {
        let checks = [
            Check {
                name: "kernel",
                state: State::Found,
                found: "Linux 6.18".to_owned(),
                fix: None,
            },
            Check {
                name: "container ids",
                state: State::Limited,
                found: "only your own".to_owned(),
                fix: Some("sudo usermod ..".to_owned()),
            },
        ];
        insta::assert_snapshot!(text(&checks), @"
        kernel         found    Linux 6.18
        container ids  limited  only your own
                                to get it: sudo usermod ..
        ");
    }

    #[test]
    fn an_overlay_that_forgets_its_marks_is_not_taken_for_working() {
        let exit = |code| Exit {
            status: ExitStatus::Code(code),
            usage: None,
            exceeded: None,
        };
        assert_eq!(verdict(Ok(exit(0)), Duration::ZERO).state, State::Found);
        assert_eq!(verdict(Ok(exit(1)), Duration::ZERO).state, State::Missing);
        assert_eq!(
            verdict(Err("mount".to_owned()), Duration::ZERO).state,
            State::Missing
        );
    }
}
