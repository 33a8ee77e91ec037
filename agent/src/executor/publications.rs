//! `--publish`: which ports of the machine lead to which services of the jobs that were selected.

use std::collections::{BTreeSet, HashMap};

use pipelines::plan::{Condition, Plan};

use super::selection::{hint, list, similar};
use crate::ports::Port;

/// Ports by the ids of jobs and the names of their services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publications(HashMap<(String, String), Vec<Port>>);

/// A `--publish` that means nothing, or not one thing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicationError {
    /// It cannot be read.
    #[error("`--publish {text}` cannot be read: {reason}")]
    Malformed {
        /// As it was given.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// No job that runs has services at all.
    #[error("`--publish {text}` has no service to lead to: no job that runs has one")]
    NoServices {
        /// As it was given.
        text: String,
    },
    /// No job that runs has such a service.
    #[error("there is no service `{name}`{}; the services are {}", hint(.similar.as_deref()), list(.services))]
    NoService {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        similar: Option<String>,
        /// What there is.
        services: Vec<String>,
    },
    /// It names no service where there are several.
    #[error("`--publish {text}` does not say to which service it leads; there are {}", list(.services))]
    Unsaid {
        /// As it was given.
        text: String,
        /// What there is.
        services: Vec<String>,
    },
    /// More than one job that runs has such a service.
    #[error("service `{service}` exists in the jobs {}", list(.jobs))]
    Ambiguous {
        /// What was asked for.
        service: String,
        /// Where it was found.
        jobs: Vec<String>,
    },
    /// The same port of the machine twice.
    #[error("`--publish {first}` and `--publish {second}` want the same port of this machine")]
    Twice {
        /// As they were given.
        first: String,
        /// As they were given.
        second: String,
    },
}

impl Publications {
    /// Reads `[SERVICE:][[ADDRESS:]PORT:]PORT[/udp]` each. The name may be left out where the jobs that may run have one
    /// service altogether.
    ///
    /// # Errors
    /// See [`PublicationError`].
    pub fn read(texts: &[String], plan: &Plan) -> Result<Self, PublicationError> {
        let is_due = |condition: &Condition| !matches!(condition, Condition::Never { .. });
        let jobs = plan.jobs.iter().filter(|job| is_due(&job.condition));
        let services: Vec<(&str, &str)> = jobs
            .flat_map(|job| {
                let services = job.services.iter();
                services.map(|service| (job.id.as_str(), service.name.as_str()))
            })
            .collect();
        let mut ports: Vec<(&str, Port)> = Vec::new();
        let mut published = Self::default();
        for text in texts {
            let (name, port) = split(text).map_err(|reason| PublicationError::Malformed {
                text: text.clone(),
                reason,
            })?;
            let (job, service) = find(text, name, &services)?;
            if let Some((first, _)) = ports.iter().find(|(_, other)| port.clashes_with(other)) {
                return Err(PublicationError::Twice {
                    first: (*first).to_owned(),
                    second: text.clone(),
                });
            }
            ports.push((text, port));
            let of_service = (job.to_owned(), service.to_owned());
            published.0.entry(of_service).or_default().push(port);
        }
        Ok(published)
    }

    /// The ports that lead to a service of a job, by the job's id.
    #[must_use]
    pub fn of(&self, job: &str, service: &str) -> &[Port] {
        let of_service = self.0.get(&(job.to_owned(), service.to_owned()));
        of_service.map_or(&[], Vec::as_slice)
    }
}

/// The name of a service, if there is one, and the port.
fn split(text: &str) -> Result<(Option<&str>, Port), &'static str> {
    let whole = match text.parse() {
        // Whatever Docker would understand means what Docker means.
        Ok(port) => return Ok((None, port)),
        Err(reason) => reason,
    };
    let is_name = |name: &str| {
        let is_of_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        // A range of ports is none.
        name.bytes().all(is_of_name) && name.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    match text.split_once(':') {
        Some((name, port)) if is_name(name) => Ok((Some(name), port.parse()?)),
        _ => Err(whole),
    }
}

/// The job and the name of the service that is meant.
fn find<'a>(
    text: &str,
    name: Option<&str>,
    services: &[(&'a str, &'a str)],
) -> Result<(&'a str, &'a str), PublicationError> {
    let names: BTreeSet<&str> = services.iter().map(|(_, service)| *service).collect();
    let all = || names.iter().map(|name| (*name).to_owned()).collect();
    let name = match (name, names.len()) {
        (_, 0) => {
            let text = text.to_owned();
            return Err(PublicationError::NoServices { text });
        }
        (Some(name), _) => name,
        (None, 1) => names.first().copied().unwrap_or_default(),
        (None, _) => {
            return Err(PublicationError::Unsaid {
                text: text.to_owned(),
                services: all(),
            });
        }
    };
    let mut found = services.iter().filter(|(_, service)| *service == name);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(*only),
        (None, _) => {
            let services: Vec<String> = all();
            Err(PublicationError::NoService {
                name: name.to_owned(),
                similar: similar(name, &services),
                services,
            })
        }
        (Some(_), Some(_)) => {
            let having = services.iter().filter(|(_, service)| *service == name);
            Err(PublicationError::Ambiguous {
                service: name.to_owned(),
                jobs: having.map(|(job, _)| (*job).to_owned()).collect(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use pipelines::{Overrides, Source, compile};

    use super::*;

    /// The jobs `main` of `db` and `cache`, `other` of `web`, and `never` of `gone`.
    const PIPELINE: &str = r#"
image: host
jobs:
  main: { services: { db: { image: x }, cache: { image: x } }, steps: [{ run: x }] }
  other: { services: { web: { image: x } }, steps: [{ run: x }] }
  never: { if: "false", services: { gone: { image: x } }, steps: [{ run: x }] }
"#;

    fn plan(text: &str) -> Plan {
        let compilation = compile(&Source::new("f.yml", text), &Overrides::default());
        let diagnostics = compilation.diagnostics;
        compilation
            .plan
            .unwrap_or_else(|| panic!("{diagnostics:?}"))
    }

    fn read(texts: &[&str], pipeline: &str) -> Result<Publications, PublicationError> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Publications::read(&texts, &plan(pipeline))
    }

    fn told(texts: &[&str]) -> String {
        read(texts, PIPELINE).unwrap_err().to_string()
    }

    #[test]
    fn a_service_stands_in_front_of_what_docker_reads() {
        for (text, name, host, container, udp) in [
            ("5432", None, "[::]:0", 5432, false),
            ("db:5432", Some("db"), "[::]:0", 5432, false),
            ("db:9000:5432", Some("db"), "[::]:9000", 5432, false),
            ("db:127.0.0.1::53/udp", Some("db"), "127.0.0.1:0", 53, true),
            ("db:::1:8080:80", Some("db"), "[::1]:8080", 80, false),
            ("db:[::1]:8080:80", Some("db"), "[::1]:8080", 80, false),
            ("fe80::1:8080:80", None, "[fe80::1]:8080", 80, false),
            ("my_db-2:80", Some("my_db-2"), "[::]:0", 80, false),
        ] {
            let (found, port) = split(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(found, name, "{text}");
            assert_eq!(port.host.to_string(), host, "{text}");
            assert_eq!((port.container, port.udp), (container, udp), "{text}");
        }
        for text in [
            "",
            "db",
            "db:",
            "DB:80",
            "db:x:80",
            "80-90:80",
            "db:80/sctp",
        ] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ports_belong_to_a_service_of_a_job_that_runs() {
        let published = read(&["db:5432", "db:9000:80/udp", "web:80"], PIPELINE).unwrap();
        assert_eq!(published.of("main", "db").len(), 2);
        assert_eq!(published.of("other", "web").len(), 1);
        assert_eq!(published.of("main", "cache"), []);
        assert_eq!(published.of("other", "db"), []);
        let one =
            "image: host\njobs:\n  j: { services: { db: { image: x } }, steps: [{ run: x }] }\n";
        assert_eq!(read(&["5432"], one).unwrap().of("j", "db").len(), 1);
        let none = "image: host\nsteps: [{ run: x }]\n";
        let error = read(&["5432"], none).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"`--publish 5432` has no service to lead to: no job that runs has one");
    }

    #[test]
    fn what_is_not_one_service_is_told() {
        insta::assert_snapshot!(told(&["chace:80"]), @"there is no service `chace`, did you mean `cache`?; the services are `cache`, `db`, `web`");
        insta::assert_snapshot!(told(&["gone:80"]), @"there is no service `gone`; the services are `cache`, `db`, `web`");
        insta::assert_snapshot!(told(&["80"]), @"`--publish 80` does not say to which service it leads; there are `cache`, `db`, `web`");
        insta::assert_snapshot!(told(&["db:80-90"]), @"`--publish db:80-90` cannot be read: a port is a number up to 65535; ranges are not published");
        insta::assert_snapshot!(told(&["db:9000:80", "cache:127.0.0.1:9000:81"]), @"`--publish db:9000:80` and `--publish cache:127.0.0.1:9000:81` want the same port of this machine");
        let matrix = "image: host\njobs:\n  j: { matrix: { n: [1, 2] }, services: { db: { image: x } }, steps: [{ run: x }] }\n";
        for text in ["80", "db:80"] {
            let error = read(&[text], matrix).unwrap_err().to_string();
            assert_eq!(error, "service `db` exists in the jobs `j (1)`, `j (2)`");
        }
    }
}
