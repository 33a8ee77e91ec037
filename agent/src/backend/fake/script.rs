//! What a step, a service or an image of the fake backend does.

use crate::backend::{
    Exceeded, ExitStatus, Healthcheck, ImageErrorKind, ImageProgress, StartErrorKind,
};

/// What a step does: meet others, write, end.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Steps (`job/step`) that must have been started before this one does anything.
    pub(crate) meets: Vec<&'static str>,
    /// What it writes first, and how often.
    pub(crate) output: Vec<u8>,
    pub(crate) repeat: usize,
    /// Close the output right after.
    pub(crate) closes_output: bool,
    pub(crate) end: End,
    /// The limit it runs into.
    pub(crate) exceeded: Option<Exceeded>,
}

/// How a scripted step ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Exit(ExitStatus),
    /// Hangs; ends with this on `SIGTERM`.
    OnTerminate(ExitStatus),
    /// Hangs and ignores `SIGTERM`.
    OnKill,
    /// Is never started.
    StartFails(StartErrorKind),
    /// The runtime loses it.
    WaitFails,
    /// The runtime cannot signal it.
    SignalFails,
}

impl Script {
    /// Ends with `end` without writing anything.
    pub(crate) const fn ends(end: End) -> Self {
        Self {
            meets: Vec::new(),
            output: Vec::new(),
            repeat: 1,
            closes_output: false,
            end,
            exceeded: None,
        }
    }

    /// Runs until it is told to end.
    pub(crate) const fn serves() -> Self {
        Self::ends(End::OnTerminate(ExitStatus::Code(0)))
    }

    /// Exits with `code`.
    pub(crate) const fn exits(code: u8) -> Self {
        Self::ends(End::Exit(ExitStatus::Code(code)))
    }

    /// Writes `output` first.
    pub(crate) fn writing(self, output: &[u8]) -> Self {
        Self {
            output: output.to_vec(),
            ..self
        }
    }
}

/// What comes of an attempt to use a service. Each attempt takes the next one; the last stays.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Nobody listens.
    Refused,
    /// A connection is accepted, and answered with this.
    Says(&'static [u8]),
    /// A command in its container ends so.
    Ends(ExitStatus),
    /// Nothing ever comes.
    Hangs,
}

/// What happens to an image.
#[derive(Debug, Clone)]
pub(crate) enum FakeImage {
    Fails(ImageErrorKind),
    /// Is pulled for ever.
    Hangs,
    /// Is pulled, with news.
    Pulled(u64, Vec<ImageProgress>),
    /// Is there and has a health check.
    Checks(Healthcheck),
}
