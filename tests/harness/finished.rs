use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::normalise::normalise;
use crate::terminal::screen;

/// What an agent left when it ended. Shown, it is everything that a failed assertion needs.
#[derive(Debug)]
pub struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) root: PathBuf,
}

impl Finished {
    /// The exit code, 128 and the signal for a death by signal, as a shell says it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Standard output's bytes.
    #[must_use]
    pub fn stdout(&self) -> &[u8] {
        &self.stdout
    }

    /// Standard output as text.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard output without what differs from run to run.
    #[must_use]
    pub fn snapshot(&self) -> String {
        normalise(&self.output(), &self.root)
    }

    /// Standard error without what differs from run to run.
    #[must_use]
    pub fn errors_snapshot(&self) -> String {
        normalise(&self.errors(), &self.root)
    }

    /// What stands on the terminal in the end, without what differs from run to run.
    #[must_use]
    pub fn screen(&self) -> String {
        screen(&self.stdout, &self.root)
    }

    /// Checks the exit code.
    ///
    /// # Panics
    /// When it is another, with all output.
    #[track_caller]
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert!(self.code() == code, "expected exit code {code}:\n{self}");
        self
    }

    /// Checks that a text stands in either output.
    ///
    /// # Panics
    /// When it does not, with all output.
    #[track_caller]
    #[must_use]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.output().contains(text) || self.errors().contains(text),
            "`{text}` is nowhere in:\n{self}"
        );
        self
    }

    /// Checks that a text stands in neither output.
    ///
    /// # Panics
    /// When it does, with all output.
    #[track_caller]
    #[must_use]
    pub fn does_not_say(self, text: &str) -> Self {
        assert!(
            !self.output().contains(text) && !self.errors().contains(text),
            "`{text}` should not be in:\n{self}"
        );
        self
    }

    /// The events of `--json`.
    ///
    /// # Panics
    /// When a line of standard output is not a JSON object.
    #[track_caller]
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.output()
            .lines()
            .map(|line| match serde_json::from_str(line) {
                Ok(event @ Value::Object(_)) => event,
                other => panic!("{line:?} is no event ({other:?}):\n{self}"),
            })
            .collect()
    }

    /// What a step wrote, from the events of `--json`; what is not UTF-8 in it comes as U+FFFD.
    ///
    /// # Panics
    /// When a piece is neither text nor base64.
    #[track_caller]
    #[must_use]
    pub fn log(&self, step: &str) -> String {
        let bytes: Vec<u8> = self
            .events()
            .iter()
            .filter(|event| event["type"] == "log" && event["step"] == step)
            .flat_map(
                |event| match (event["text"].as_str(), event["base64"].as_str()) {
                    (Some(text), None) => text.as_bytes().to_vec(),
                    (None, Some(coded)) => STANDARD.decode(coded).expect("base64"),
                    _ => panic!("{event} holds no piece of a log:\n{self}"),
                },
            )
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "exit code {} ({})", self.code(), self.status)?;
        writeln!(formatter, "--- standard output\n{}", self.output())?;
        writeln!(formatter, "--- standard error\n{}", self.errors())?;
        writeln!(formatter, "--- in {}", Path::new(&self.root).display())
    }
}
