//! `--log`: where a caller that keeps no terminal finds out what went wrong.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// For programs: an object a line, with `level`, `msg` and `time`
    Json,
}

/// A file that is written to, if any.
#[derive(Debug, Clone)]
pub struct Log {
    /// The file.
    pub path: Option<PathBuf>,
    /// How.
    pub format: LogFormat,
}

impl Log {
    /// Adds an error.
    pub fn error(&self, message: &str) {
        self.add("error", message);
    }

    /// Adds something that went wrong and stopped nothing.
    pub fn warning(&self, message: &str) {
        self.add("warning", message);
    }

    fn add(&self, level: &str, message: &str) {
        let Some(path) = &self.path else {
            return;
        };
        let time = jiff::Timestamp::now();
        let line = match self.format {
            LogFormat::Text => {
                format!("time=\"{time:.0}\" level={level} msg={message:?}\n")
            }
            LogFormat::Json => {
                let time = format!("{time:.0}");
                format!(
                    "{}\n",
                    json!({"level": level, "msg": message, "time": time})
                )
            }
        };
        let file = File::options().create(true).append(true).open(path);
        // Whoever reads standard error learns of it all the same.
        if let Ok(mut file) = file {
            let _ = file.write_all(line.as_bytes());
        }
    }
}
