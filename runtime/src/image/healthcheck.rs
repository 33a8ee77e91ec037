//! An image's health check (Docker image specification, `Healthcheck`; OCI leaves the field to Docker).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::ConfigError;

/// What Docker takes for an interval or a time-out that is not said.
const USUAL: Duration = Duration::from_secs(30);
/// The same for retries.
const RETRIES: u32 = 3;

/// A command that tells whether a container is well, and how often to ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// What to execute in the container; exits with 0 when it is well. Never empty.
    pub command: Vec<String>,
    /// Between two checks.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How long the container may take to start: failures do not count meanwhile.
    pub start_period: Duration,
    /// So many failures in a row mean that it is not well. At least 1.
    pub retries: u32,
}

impl Healthcheck {
    pub(super) fn has_nul(&self) -> bool {
        self.command.iter().any(|word| word.contains('\0'))
    }
}

/// As it is written: durations are nanoseconds, 0 is what is usual.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawHealthcheck {
    #[serde(default)]
    test: Option<Vec<String>>,
    #[serde(default)]
    interval: Option<i64>,
    #[serde(default)]
    timeout: Option<i64>,
    #[serde(default)]
    start_period: Option<i64>,
    #[serde(default)]
    retries: Option<i64>,
}

impl RawHealthcheck {
    /// `None` where there is nothing to check: `["NONE"]`, no command, or a kind of test that Docker does not know either.
    pub(super) fn read(self) -> Result<Option<Healthcheck>, ConfigError> {
        let interval = duration("Interval", self.interval)?;
        let timeout = duration("Timeout", self.timeout)?;
        let start_period = duration("StartPeriod", self.start_period)?;
        let retries = self.retries.unwrap_or_default();
        let retries = u64::try_from(retries).map_err(|_| ConfigError::Healthcheck("Retries"))?;
        let test = self.test.unwrap_or_default();
        let command = match test.split_first() {
            Some((kind, words)) if kind == "CMD" => words.to_vec(),
            Some((kind, [script, ..])) if kind == "CMD-SHELL" => {
                ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
            }
            _ => Vec::new(),
        };
        Ok((!command.is_empty()).then(|| Healthcheck {
            command,
            interval: interval.unwrap_or(USUAL),
            timeout: timeout.unwrap_or(USUAL),
            start_period: start_period.unwrap_or_default(),
            retries: match u32::try_from(retries) {
                Ok(0) => RETRIES,
                Ok(retries) => retries,
                Err(_) => u32::MAX,
            },
        }))
    }
}

/// `None` where it is not said, or 0.
fn duration(name: &'static str, nanoseconds: Option<i64>) -> Result<Option<Duration>, ConfigError> {
    let nanoseconds = nanoseconds.unwrap_or_default();
    let nanoseconds = u64::try_from(nanoseconds).map_err(|_| ConfigError::Healthcheck(name))?;
    Ok((nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds)))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn of(healthcheck: &str) -> Result<Option<Healthcheck>, String> {
        let text =
            format!(r#"{{"config":{{"Healthcheck":{healthcheck}}},"rootfs":{{"type":"layers"}}}}"#);
        let config = Config::parse(text.as_bytes());
        config
            .map(|config| config.healthcheck)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_docker_writes_is_read() {
        let check = of(
            r#"{"Test":["CMD-SHELL","pg_isready -U postgres"],"Interval":5000000000,"Timeout":2000000000,"StartPeriod":1500000000,"Retries":7}"#,
        );
        assert_eq!(
            check.unwrap().unwrap(),
            Healthcheck {
                command: ["/bin/sh", "-c", "pg_isready -U postgres"]
                    .map(str::to_owned)
                    .to_vec(),
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(2),
                start_period: Duration::from_millis(1_500),
                retries: 7,
            }
        );
    }

    #[test]
    fn what_is_not_said_is_as_docker_has_it() {
        let check = of(r#"{"Test":["CMD","/check","-q"],"Interval":0}"#)
            .unwrap()
            .unwrap();
        assert_eq!(check.command, ["/check", "-q"]);
        assert_eq!((check.interval, check.timeout), (USUAL, USUAL));
        assert_eq!(
            (check.start_period, check.retries),
            (Duration::ZERO, RETRIES)
        );
    }

    #[test]
    fn an_image_may_have_nothing_to_check() {
        for none in [
            "null",
            "{}",
            r#"{"Test":null}"#,
            r#"{"Test":[]}"#,
            r#"{"Test":["NONE"]}"#,
            r#"{"Test":["CMD"]}"#,
            r#"{"Test":["CMD-SHELL"]}"#,
            r#"{"Test":["OTHER","x"]}"#,
        ] {
            assert_eq!(of(none), Ok(None), "{none}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let refused = |text: &str| of(text).unwrap_err();
        insta::assert_snapshot!(refused(r#"{"Test":["CMD","x"],"Timeout":-1}"#), @"the image configuration's `Healthcheck` has a negative `Timeout`");
        insta::assert_snapshot!(refused(r#"{"Test":["CMD","a\u0000b"]}"#), @"the image configuration's `Healthcheck` holds a NUL byte");
        assert!(refused("[]").contains("expected an object"));
        assert!(refused(r#"{"Test":"true"}"#).contains("expected a sequence"));
        assert!(refused(r#"{"Test":["CMD","x"],"Interval":1e30}"#).contains("expected i64"));
        let huge = of(
            r#"{"Test":["CMD","x"],"Retries":9223372036854775807,"Interval":9223372036854775807}"#,
        );
        assert_eq!(huge.unwrap().unwrap().retries, u32::MAX);
    }
}
