use serde::{Deserialize, Serialize};

use super::nullable;

/// Programs to be run at points of a container's life. `createContainer` and `startContainer` are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::oci) struct Hooks {
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) prestart: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) create_runtime: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) poststart: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) poststop: Vec<Hook>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::oci) struct Hook {
    /// Absolute.
    pub(in crate::oci) path: String,
    /// The first one is its own name.
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) args: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) env: Vec<String>,
    /// Seconds.
    #[serde(default)]
    pub(in crate::oci) timeout: Option<u32>,
}

impl Hooks {
    /// Each list with its name.
    pub(in crate::oci) fn lists(&self) -> [(&'static str, &[Hook]); 4] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}
