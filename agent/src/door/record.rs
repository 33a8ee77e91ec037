//! What is written down of a container, for whoever asks later and from another process.

use runtime::container::ExitStatus;
use serde::{Deserialize, Serialize};

use super::{Ending, Name};

/// A container, as its supervisor last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Unique in a data directory.
    pub name: Name,
    /// As written on the command line.
    pub image: String,
    /// The argument vector; empty before the image is known.
    pub command: Vec<String>,
    /// Unix milliseconds.
    pub created: u64,
    /// The supervisor's process id.
    pub supervisor: u32,
    /// Ports of the machine that lead to it: `127.0.0.1:8080->80/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a container has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Its image is fetched, or its root is built.
    Preparing,
    /// Its command runs.
    Running {
        /// Since when, Unix milliseconds.
        started: u64,
    },
    /// Its command is over.
    Exited {
        /// When it began, Unix milliseconds.
        started: u64,
        /// When it ended, Unix milliseconds.
        finished: u64,
        /// As `agent run` exits.
        exit_code: u8,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

impl Stage {
    /// The command has ended so.
    pub(super) fn exited(started: u64, finished: u64, ending: Ending) -> Self {
        Self::Exited {
            started,
            finished,
            exit_code: ending.code(),
            signal: match ending {
                Ending::Ran(ExitStatus::Signal(signal)) => Some(signal),
                _ => None,
            },
        }
    }
}

/// What a container is, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not yet running.
    Preparing,
    /// Running.
    Running,
    /// Its command has ended.
    Exited,
    /// Its supervisor was killed, or the machine went down: it ended with that, nobody knows how.
    Dead,
}

impl Record {
    /// What it is, given whether its supervisor lives.
    #[must_use]
    pub const fn status(&self, supervised: bool) -> Status {
        match (self.stage, supervised) {
            (Stage::Exited { .. }, _) => Status::Exited,
            (_, false) => Status::Dead,
            (Stage::Preparing, true) => Status::Preparing,
            (Stage::Running { .. }, true) => Status::Running,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_supervisor_is_dead_unless_it_has_an_end() {
        let mut record = Record {
            name: "web".parse().unwrap(),
            image: "host".to_owned(),
            command: Vec::new(),
            created: 1,
            supervisor: 2,
            ports: Vec::new(),
            stage: Stage::Preparing,
        };
        let both = |record: &Record| [true, false].map(|alive| record.status(alive));
        assert_eq!(both(&record), [Status::Preparing, Status::Dead]);
        record.stage = Stage::Running { started: 3 };
        assert_eq!(both(&record), [Status::Running, Status::Dead]);
        let killed = Ending::Ran(ExitStatus::Signal(9));
        record.stage = Stage::exited(3, 4, killed);
        assert_eq!(both(&record), [Status::Exited; 2]);
        insta::assert_snapshot!(serde_json::to_string(&record).unwrap(), @r#"{"name":"web","image":"host","command":[],"created":1,"supervisor":2,"ports":[],"stage":{"stage":"exited","started":3,"finished":4,"exit_code":137,"signal":9}}"#);
    }
}
