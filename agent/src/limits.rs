//! What steps may use on this machine: the machine's part in it.
//!
//! ```yaml
//! limits:
//!   default: { pids: 4096 }               # of a step whose pipeline says nothing
//!   max: { cpus: 4, memory: 16GiB }       # no step gets more, whatever its pipeline says
//!   log: 512MiB                           # of a step's output
//!   artifact: 2GiB                        # of one artifact: its files, and their archive
//!   caches: 10GiB                         # of all caches that are kept here
//! ```

use std::fmt;

use pipelines::plan::{Plan, Resources, Step};
use pipelines::units;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

/// Processes and threads of a step that says nothing: more than a build starts, less than a machine has.
const PIDS: u64 = 4096;
/// Output of a step, bytes: what a person could not read, and twenty runs of it fit on a disk.
const LOG: u64 = 512 << 20;
/// One artifact, bytes: more than a build leaves that means to.
const ARTIFACT: u64 = 2 << 30;
/// All caches together, bytes: what a few repositories build with.
const CACHES: u64 = 10 << 30;

/// The configuration's `limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    #[serde(rename = "default", deserialize_with = "defaults")]
    otherwise: Resources,
    #[serde(rename = "max", deserialize_with = "resources")]
    most: Resources,
    #[serde(deserialize_with = "log")]
    log: u64,
    #[serde(deserialize_with = "artifact")]
    artifact: u64,
    #[serde(deserialize_with = "caches")]
    caches: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            otherwise: Resources {
                pids: Some(PIDS),
                ..Resources::default()
            },
            most: Resources::default(),
            log: LOG,
            artifact: ARTIFACT,
            caches: CACHES,
        }
    }
}

/// A kind of limit, by which to go through all of them.
type Kind = (
    &'static str,
    fn(&Resources) -> Option<u64>,
    fn(&mut Resources, u64),
);

const KINDS: [Kind; 5] = [
    ("cpus", |r| r.cpu_millis, |r, n| r.cpu_millis = Some(n)),
    (
        "memory",
        |r| r.memory_bytes,
        |r, n| r.memory_bytes = Some(n),
    ),
    ("pids", |r| r.pids, |r, n| r.pids = Some(n)),
    ("disk", |r| r.disk_bytes, |r, n| r.disk_bytes = Some(n)),
    ("nofile", |r| r.nofile, |r, n| r.nofile = Some(n)),
];

impl Limits {
    /// What a step gets that asks for `wanted`.
    #[must_use]
    pub fn of(&self, wanted: &Resources) -> Resources {
        let mut given = Resources::default();
        for (_, get, set) in KINDS {
            let asked = get(wanted).or_else(|| get(&self.otherwise));
            let least = asked.into_iter().chain(get(&self.most)).min();
            if let Some(amount) = least {
                set(&mut given, amount);
            }
        }
        given
    }

    /// Bytes that are kept of a step's output.
    #[must_use]
    pub const fn log(&self) -> u64 {
        self.log
    }

    /// Bytes that one artifact may have.
    #[must_use]
    pub const fn artifact(&self) -> u64 {
        self.artifact
    }

    /// Bytes that all caches of this machine may have together.
    #[must_use]
    pub const fn caches(&self) -> u64 {
        self.caches
    }

    /// What is limited in any step of a plan, by the plan or by this machine's configuration: not what is so everywhere.
    #[must_use]
    pub fn asked(&self, plan: &Plan) -> Resources {
        let usual = Self::default().of(&Resources::default());
        let mut asked = Resources::default();
        for step in steps(plan) {
            let given = self.of(&step.resources);
            for (_, get, set) in KINDS {
                if let Some(amount) = get(&given).filter(|_| get(&given) != get(&usual)) {
                    set(&mut asked, amount);
                }
            }
        }
        asked
    }

    /// A sentence for each kind of limit of which a step of the plan gets less than it asks for.
    #[must_use]
    pub fn reductions(&self, plan: &Plan) -> Vec<String> {
        let of_kind = |(name, get, _): Kind| {
            let most = get(&self.most)?;
            let step = steps(plan).find(|step| get(&step.resources) > Some(most))?;
            Some(format!(
                "Step `{}` asks for more `{name}` than this machine gives: it gets what `limits.max.{name}` of the \
                 machine's configuration says.",
                step.name
            ))
        };
        KINDS.into_iter().filter_map(of_kind).collect()
    }
}

fn steps(plan: &Plan) -> impl Iterator<Item = &Step> {
    let jobs = plan.jobs.iter();
    jobs.flat_map(|job| job.steps.iter().chain(&job.after))
}

/// The words of a pipeline's `resources`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Words {
    cpus: Option<Scalar>,
    memory: Option<Scalar>,
    pids: Option<u64>,
    disk: Option<Scalar>,
    nofile: Option<u64>,
}

fn defaults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
    let own = resources(deserializer)?;
    Ok(Resources {
        pids: own.pids.or(Some(PIDS)),
        ..own
    })
}

fn resources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
    let words = Words::deserialize(deserializer)?;
    let wrong = |name: &str, text: &str, expected: &str| {
        D::Error::custom(format_args!("{name}: {text:?} is not {expected}"))
    };
    let amount = |name, word: Option<Scalar>, read: fn(&str) -> Option<u64>, expected| {
        let of = |Scalar(text): Scalar| read(&text).ok_or_else(|| wrong(name, &text, expected));
        word.map(of).transpose()
    };
    let count = |name, count: Option<u64>| match count {
        Some(0) => Err(wrong(name, "0", "1 or more")),
        count => Ok(count),
    };
    Ok(Resources {
        cpu_millis: amount(
            "cpus",
            words.cpus,
            units::cores,
            "a number of cores such as 2 or 1.5",
        )?,
        memory_bytes: amount("memory", words.memory, units::size, SIZE)?,
        pids: count("pids", words.pids)?,
        disk_bytes: amount("disk", words.disk, units::size, SIZE)?,
        nofile: count("nofile", words.nofile)?,
    })
}

const SIZE: &str = "a size such as 512MiB";

fn log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    size("log", deserializer)
}

fn artifact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    size("artifact", deserializer)
}

fn caches<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    size("caches", deserializer)
}

fn size<'de, D: Deserializer<'de>>(name: &str, deserializer: D) -> Result<u64, D::Error> {
    let Scalar(text) = Scalar::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format_args!("{name}: {text:?} is not {SIZE}"));
    units::size(&text).ok_or_else(wrong)
}

/// The text of a number or a string, as it would be written.
#[derive(Debug)]
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number or a text")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use pipelines::plan::{Action, Job, Plan, Resources, Step};

    use super::Limits;

    fn limits(text: &str) -> Result<Limits, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_gets_what_it_asks_for_up_to_what_the_machine_gives() {
        let limits = limits("default: { memory: 1GiB }\nmax: { memory: 4GiB, cpus: 2 }\n").unwrap();
        let asking = |memory_bytes| Resources {
            memory_bytes,
            ..Resources::default()
        };
        let memory = |asked| limits.of(&asking(asked)).memory_bytes;
        assert_eq!(memory(None), Some(1 << 30));
        assert_eq!(memory(Some(2 << 30)), Some(2 << 30));
        assert_eq!(memory(Some(8 << 30)), Some(4 << 30));
        let all = limits.of(&Resources::default());
        assert_eq!(
            (all.cpu_millis, all.pids, all.nofile),
            (Some(2000), Some(4096), None)
        );
    }

    #[test]
    fn a_step_that_gets_less_than_it_asks_for_is_told() {
        let action = Action::Script {
            script: "x".into(),
            shell: Vec::new(),
        };
        let mut step = Step::new("build", "host", action);
        step.resources.memory_bytes = Some(8 << 30);
        let plan = Plan::new(None, vec![Job::new("main", vec![step])]);
        let limits = limits("max: { memory: 4GiB, pids: 100 }").unwrap();
        insta::assert_snapshot!(limits.reductions(&plan).join("\n"), @"Step `build` asks for more `memory` than this machine gives: it gets what `limits.max.memory` of the machine's configuration says.");
        let asked = limits.asked(&plan);
        assert_eq!((asked.memory_bytes, asked.pids), (Some(4 << 30), Some(100)));
        assert_eq!(Limits::default().reductions(&plan), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, wrong) in [
            (
                "max: { memory: 4 }",
                r#"memory: "4" is not a size such as 512MiB"#,
            ),
            (
                "max: { cpus: 0 }",
                r#"cpus: "0" is not a number of cores such as 2 or 1.5"#,
            ),
            ("max: { ram: 1GiB }", "unknown field `ram`"),
            ("default: { pids: 0 }", r#"pids: "0" is not 1 or more"#),
            ("log: much", r#"log: "much" is not a size such as 512MiB"#),
        ] {
            let error = limits(text).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
