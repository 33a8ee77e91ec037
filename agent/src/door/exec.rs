//! A further process in a running container, with the agent's streams as its own.

use std::os::fd::{AsFd as _, OwnedFd};

use indexmap::IndexMap;
use runtime::container::{Execution, ExitStatus, StartError, Streams as Inside, WaitError};
use runtime::message::Connection;
use rustix::process::Signal;

use super::attend::attend;
use super::control::{Further, Order};
use super::signals::Signals;
use super::streams::{Streams, Wiring};
use super::{Containers, DoorError, Ending, Found, client, environment, terminal};
use crate::cli::Exec;

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    further: Further,
    wiring: Wiring,
}

impl ExecRequest {
    /// Understands a command line; `own` is the agent's own environment.
    ///
    /// # Errors
    /// With the option that makes no sense.
    pub fn new(options: &Exec, own: impl Fn(&str) -> Option<String>) -> Result<Self, DoorError> {
        let wiring = Wiring {
            interactive: options.interactive,
            terminal: options.tty,
            detached: false,
        };
        wiring.check()?;
        let mut env = IndexMap::new();
        if options.tty {
            env.insert("TERM".to_owned(), terminal::kind(&own));
        }
        env.extend(environment::gather(&options.env_files, &options.env, own)?);
        Ok(Self {
            further: Further {
                argv: options.command().to_vec(),
                env: env.into_iter().collect(),
                workdir: options.workdir.clone(),
                user: options.user.clone(),
            },
            wiring,
        })
    }
}

/// Runs it to its end.
///
/// # Errors
/// When it could not be run; how it ended is no error.
pub fn exec(
    containers: &Containers,
    found: &Found,
    request: &ExecRequest,
) -> Result<Ending, DoorError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DoorError::system("start the async runtime"))?;
    let ending = runtime.block_on(run(found, request));
    runtime.shutdown_background();
    match ending {
        Err(DoorError::Wait(WaitError::Container {
            source: StartError::ContainerGone,
        })) if has_ended(containers, found) => {
            Ok(Ending::Ran(ExitStatus::Signal(Signal::KILL.as_raw())))
        }
        ending => ending,
    }
}

/// Whether a container has come to an end that its supervisor knows of: with it everything in it was killed, and who would have
/// told of that as well.
fn has_ended(containers: &Containers, found: &Found) -> bool {
    matches!(
        client::wait(containers, found, None),
        Ok(_) | Err(DoorError::NoSuchContainer { .. })
    )
}

async fn run(found: &Found, request: &ExecRequest) -> Result<Ending, DoorError> {
    let failed = || DoorError::system("reach the container's supervisor");
    let (_, mut signals) = Signals::catch()?;
    let connection = Connection::new(found.connect()?).map_err(failed())?;
    let (mut streams, inside) = Streams::connect(request.wiring, None)?;
    let further = request.further.to_file();
    let further = further.map_err(DoorError::system("pass the process on"))?;
    let mut fds = vec![further.as_fd()];
    let terminal = match &inside {
        Inside::Files(files) => {
            fds.extend(files.iter().map(OwnedFd::as_fd));
            None
        }
        Inside::Terminal(size) => Some(*size),
    };
    let order = Order::Exec { terminal };
    connection.send(&order, &fds).await.map_err(failed())?;
    drop((further, inside));
    let mut execution = Execution::begin(connection)
        .await
        .map_err(DoorError::Exec)?;
    if let Some(terminal) = execution.take_terminal() {
        streams.attach(terminal)?;
    }
    let execution = &execution;
    // A process that is gone needs no signal.
    let send = async |number| drop(execution.signal(number).await);
    attend(execution.wait(), send, streams, &mut signals).await
}
