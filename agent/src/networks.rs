//! Networks of containers, as the machine's configuration has them.

use std::fmt;

use ipnet::Ipv4Net;
use pipelines::plan::{Condition, Network, Place, Plan};
use runtime::network::default_pools;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::secrets::at;

/// Which networks containers may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    /// Where private ones take their addresses from. One that has an address in it, and not only a range, is used whole, with
    /// that address as the gateway.
    pub pools: Vec<Ipv4Net>,
    /// Containers may use the machine's own network.
    pub host: bool,
}

impl Default for Networks {
    fn default() -> Self {
        Self {
            pools: default_pools(),
            host: false,
        }
    }
}

/// What to do about a `network: host` that is refused.
pub(crate) const ALLOW_HOST: &str =
    "the machine's configuration can allow it: `network: { host: true }`";

/// A plan asks for a network that this machine's configuration does not give.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The command line does, for every step.
    #[error("`--network host` is not allowed here")]
    Option,
    /// A step does, by itself or as its job or its pipeline has it.
    #[error("{}{of} has `network: host`, which is not allowed on this machine", at(.place))]
    Step {
        /// Where the step is written.
        place: Place,
        /// The step and its job.
        of: String,
    },
}

impl Networks {
    /// Sees to it that no step that may run asks for what it would be refused. `by_option`: it is not the pipeline that asks.
    ///
    /// # Errors
    /// See [`NetworkError`]: the first such step.
    pub fn check(&self, plan: &Plan, by_option: bool) -> Result<(), NetworkError> {
        if self.host {
            return Ok(());
        }
        let is_due = |condition: &Condition| !matches!(condition, Condition::Never { .. });
        for job in plan.jobs.iter().filter(|job| is_due(&job.condition)) {
            let steps = job.steps.iter().chain(&job.after);
            let mut due = steps.filter(|step| is_due(&step.condition));
            if let Some(step) = due.find(|step| step.network == Network::Host) {
                return Err(match by_option {
                    true => NetworkError::Option,
                    false => NetworkError::Step {
                        place: step.place.clone(),
                        of: format!("step `{}` of job `{}`", step.name, job.id),
                    },
                });
            }
        }
        Ok(())
    }
}

/// A pool has to have room for a gateway and a container.
const SMALLEST: u8 = 30;

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[derive(Default)]
        struct Written {
            pools: Option<Vec<String>>,
            bip: Option<String>,
            host: bool,
        }
        let written = Written::deserialize(deserializer)?;
        let (setting, texts) = match (written.pools, written.bip) {
            (Some(_), Some(_)) => {
                return Err(D::Error::custom(
                    "network: either `pools` or `bip`, not both",
                ));
            }
            (Some(pools), None) if pools.is_empty() => {
                return Err(D::Error::custom("network: `pools` is empty"));
            }
            (Some(pools), None) => ("pools", pools),
            (None, Some(bip)) => ("bip", vec![bip]),
            (None, None) => {
                return Ok(Self {
                    host: written.host,
                    ..Self::default()
                });
            }
        };
        let pools: Result<_, _> = texts.iter().map(|text| pool(setting, text)).collect();
        Ok(Self {
            pools: pools.map_err(D::Error::custom)?,
            host: written.host,
        })
    }
}

fn pool(setting: &str, text: &str) -> Result<Ipv4Net, String> {
    let failed = |reason: &dyn fmt::Display| format!("network.{setting}: {text:?} {reason}");
    let pool: Ipv4Net = text
        .parse()
        .map_err(|_| failed(&"is no range of addresses such as 10.9.0.0/16"))?;
    if pool.prefix_len() > SMALLEST {
        return Err(failed(&"has no room for a gateway and a container"));
    }
    if setting == "bip" && pool.addr() == pool.network() {
        return Err(failed(&"is no address with its range, such as 10.9.0.1/16"));
    }
    Ok(pool)
}
