//! Signals to the agent that are meant for the container's command.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::DoorError;

/// What is passed on; the kernel lets nobody catch SIGKILL and SIGSTOP, and Ctrl-Z is for the agent.
const PASSED_ON: [Signal; 8] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::CONT,
];

/// The signals that reach the agent from now on.
#[derive(Debug)]
pub(super) struct Signals(mpsc::UnboundedReceiver<i32>);

impl Signals {
    /// Catches them instead of dying of them; others may send some as well. To be called on a tokio runtime.
    pub(super) fn catch() -> Result<(mpsc::UnboundedSender<i32>, Self), DoorError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for number in PASSED_ON.map(Signal::as_raw) {
            let mut signals = signal(SignalKind::from_raw(number))
                .map_err(DoorError::system("handle signals"))?;
            let sender: mpsc::UnboundedSender<i32> = sender.clone();
            tokio::spawn(async move {
                while signals.recv().await.is_some() && sender.send(number).is_ok() {}
            });
        }
        Ok((sender, Self(receiver)))
    }

    /// The next one's number. Nothing is lost when it is cancelled.
    pub(super) async fn next(&mut self) -> i32 {
        match self.0.recv().await {
            Some(number) => number,
            // The runtime ends.
            None => std::future::pending().await,
        }
    }
}

/// The number of a signal by its name, with or without `SIG`, or by its number; `RTMIN+3` and `RTMAX-3` as well. SIGSTOP is
/// none: it would stop the container's init, and nothing else.
pub(super) fn number(text: &str) -> Option<i32> {
    /// signal(7), "Real-time signals", less the two that C libraries keep for themselves.
    const RTMIN: i32 = 34;
    const RTMAX: i32 = 64;
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |text: &str| match text {
        "" => Some(0),
        _ => text.get(1..)?.parse::<i32>().ok(),
    };
    let number = if let Some(behind) = name.strip_prefix("RTMIN") {
        RTMIN + real_time(behind).filter(|_| !behind.starts_with('-'))?
    } else if let Some(behind) = name.strip_prefix("RTMAX") {
        RTMAX - real_time(behind).filter(|_| !behind.starts_with('+'))?
    } else if let Ok(number) = name.parse() {
        number
    } else {
        let named = NAMES.iter().find(|(other, _)| *other == name);
        named.map(|(_, signal)| signal.as_raw())?
    };
    let is_signal = (1..=RTMAX).contains(&number) && number != Signal::STOP.as_raw();
    is_signal.then_some(number)
}

/// Those that people send.
const NAMES: [(&str, Signal); 21] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("CONT", Signal::CONT),
    ("TSTP", Signal::TSTP),
    ("TTIN", Signal::TTIN),
    ("TTOU", Signal::TTOU),
    ("URG", Signal::URG),
    ("XCPU", Signal::XCPU),
    ("XFSZ", Signal::XFSZ),
    ("VTALRM", Signal::VTALARM),
    ("PROF", Signal::PROF),
    ("WINCH", Signal::WINCH),
    ("IO", Signal::IO),
    ("PWR", Signal::POWER),
];

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, expected) in [
            ("TERM", 15),
            ("sigkill", 9),
            ("2", 2),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for text in [
            "", "NOPE", "0", "65", "-9", "STOP", "19", "RTMIN-1", "RTMAX+1", "RTMIN+40", "RTMIN+x",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
