use serde::{Deserialize, Serialize};

use super::nullable;

/// Programs to be run at points of a container's life. `createContainer` is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::oci) struct Hooks {
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) prestart: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) create_runtime: Vec<Hook>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) start_container: Vec<Hook>,
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
    /// In the container, without any, it has the command's.
    #[serde(default)]
    pub(in crate::oci) env: Option<Vec<String>>,
    /// Seconds.
    #[serde(default)]
    pub(in crate::oci) timeout: Option<u32>,
}

impl Hooks {
    /// Each list with its name.
    pub(in crate::oci) fn lists(&self) -> [(&'static str, &[Hook]); 5] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}
