use serde::Deserialize;

use super::nullable;

/// What runs in the container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct Process {
    #[serde(default)]
    pub(in crate::oci) terminal: bool,
    #[serde(default)]
    pub(in crate::oci) console_size: Option<Box>,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) user: User,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) args: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) env: Vec<String>,
    pub(in crate::oci) cwd: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) capabilities: Capabilities,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) rlimits: Vec<PosixRlimit>,
    #[serde(default)]
    pub(in crate::oci) no_new_privileges: bool,
    #[serde(default)]
    pub(in crate::oci) oom_score_adj: Option<i32>,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(in crate::oci) struct Box {
    pub(in crate::oci) height: u16,
    pub(in crate::oci) width: u16,
}

/// Who it is, in the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::oci) struct User {
    pub(in crate::oci) uid: u32,
    pub(in crate::oci) gid: u32,
    pub(in crate::oci) umask: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) additional_gids: Vec<u32>,
}

/// Its capabilities, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::oci) struct Capabilities {
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) bounding: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) effective: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) permitted: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) inheritable: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) ambient: Vec<String>,
}

/// One of its limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::oci) struct PosixRlimit {
    #[serde(rename = "type")]
    pub(in crate::oci) kind: String,
    pub(in crate::oci) hard: u64,
    pub(in crate::oci) soft: u64,
}
