//! Being there while a command runs: signals and the terminal's size go in, its end comes out.

use std::future::Future;

use runtime::container::{Exceeded, Exit, ExitStatus, WaitError};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::signals::Signals;
use super::streams::Streams;
use super::terminal::Raw;
use super::{DoorError, Ending, terminal};
use crate::output::complain;

/// So many requests to end are passed on; the next one kills. A command may take its time, and people lose patience.
const POLITE: u32 = 2;

/// Waits for a command's `end`, and until all it wrote is out. Signals to the agent go to it through `send`.
pub(super) async fn attend(
    end: impl Future<Output = Result<Exit, WaitError>>,
    send: impl AsyncFn(i32),
    mut streams: Streams,
    signals: &mut Signals,
) -> Result<Ending, DoorError> {
    let raw = if streams.has_our_terminal() {
        Raw::take()?
    } else {
        None
    };
    let mut resized =
        signal(SignalKind::window_change()).map_err(DoorError::system("handle signals"))?;
    let mut end = std::pin::pin!(end);
    let mut requests = 0;
    let exit = loop {
        tokio::select! {
            exit = &mut end => break exit?,
            _ = resized.recv() => streams.resize(terminal::size()),
            number = signals.next() => {
                if number == Signal::CONT.as_raw()
                    && let Some(raw) = &raw
                {
                    // The shell had the terminal meanwhile.
                    let _ = raw.apply();
                    streams.resize(terminal::size());
                }
                requests += u32::from(asks_to_end(number));
                let kills = requests > POLITE;
                send(if kills { Signal::KILL.as_raw() } else { number }).await;
            }
        }
    };
    if let Some(exceeded) = exit.exceeded {
        complain(format_args!("the container {}", describe(exceeded)));
    }
    tokio::select! {
        drained = streams.drained() => drained.map_err(DoorError::system("copy the command's output"))?,
        // Whoever reads our output does not go on, and somebody has lost patience.
        number = signals.next() => return Ok(Ending::Ran(ExitStatus::Signal(number))),
    }
    Ok(Ending::Ran(exit.status))
}

/// What became of a limit that explains a failure.
const fn describe(exceeded: Exceeded) -> &'static str {
    match exceeded {
        Exceeded::Memory => "ran out of memory",
        Exceeded::Pids => "could not make another process",
        Exceeded::Disk => "had no more room to write to its root",
    }
}

/// Whether a signal asks the command to end.
fn asks_to_end(number: i32) -> bool {
    [Signal::INT, Signal::TERM, Signal::QUIT]
        .map(Signal::as_raw)
        .contains(&number)
}
