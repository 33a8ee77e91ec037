use serde::{Deserialize, Serialize};

use crate::expression::Template;

/// Which network a step sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network<T = Template> {
    /// What the machine's configuration says.
    #[default]
    Default,
    /// A loopback interface of its own and nothing else.
    None,
    /// The machine's.
    Host,
    /// The job's private network, with a way out to these only: `host[:port]`, `*.example.org`, an address or a range
    /// in CIDR notation.
    Allow(Vec<T>),
}

impl<T> Network<T> {
    /// The same with other texts.
    pub(crate) fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Network<U> {
        match self {
            Self::Default => Network::Default,
            Self::None => Network::None,
            Self::Host => Network::Host,
            Self::Allow(targets) => Network::Allow(targets.iter().map(text).collect()),
        }
    }

    /// For serde: nothing has to be said.
    pub(super) const fn is_default(&self) -> bool {
        matches!(self, Self::Default)
    }
}
