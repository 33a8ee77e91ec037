use std::collections::BTreeMap;

use serde::Deserialize;

use super::nullable;

/// What only Linux has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::oci) struct Linux {
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) uid_mappings: Vec<IdMapping>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) gid_mappings: Vec<IdMapping>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) namespaces: Vec<Namespace>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) devices: Vec<LinuxDevice>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) resources: LinuxResources,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) sysctl: BTreeMap<String, String>,
    pub(in crate::oci) seccomp: Option<Seccomp>,
    pub(in crate::oci) rootfs_propagation: String,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) masked_paths: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) readonly_paths: Vec<String>,
}

/// A run of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(in crate::oci) struct IdMapping {
    #[serde(rename = "containerID")]
    pub(in crate::oci) container_id: u32,
    #[serde(rename = "hostID")]
    pub(in crate::oci) host_id: u32,
    pub(in crate::oci) size: u32,
}

/// A namespace that the container has for itself or, with a path, shares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::oci) struct Namespace {
    #[serde(rename = "type")]
    pub(in crate::oci) kind: NamespaceType,
    #[serde(default)]
    pub(in crate::oci) path: String,
}

/// Its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::oci) enum NamespaceType {
    Pid,
    Network,
    Mount,
    Ipc,
    Uts,
    User,
    Cgroup,
    Time,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct LinuxDevice {
    #[serde(rename = "type")]
    pub(in crate::oci) kind: String,
    pub(in crate::oci) path: String,
    #[serde(default)]
    pub(in crate::oci) major: i64,
    #[serde(default)]
    pub(in crate::oci) minor: i64,
    #[serde(default)]
    pub(in crate::oci) file_mode: Option<u32>,
    #[serde(default)]
    pub(in crate::oci) uid: Option<u32>,
    #[serde(default)]
    pub(in crate::oci) gid: Option<u32>,
}

/// What the container may use. Everything else of it is refused, save `devices`: a container can make no device node, and
/// opens those alone that it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::oci) struct LinuxResources {
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) memory: LinuxMemory,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) cpu: LinuxCpu,
    #[serde(deserialize_with = "nullable")]
    pub(in crate::oci) pids: LinuxPids,
}

/// Memory, bytes; -1 is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::oci) struct LinuxMemory {
    pub(in crate::oci) limit: Option<i64>,
    pub(in crate::oci) swap: Option<i64>,
}

/// CPU time, microseconds a period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::oci) struct LinuxCpu {
    pub(in crate::oci) quota: Option<i64>,
    pub(in crate::oci) period: Option<u64>,
}

/// Processes; 0 and less is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(in crate::oci) struct LinuxPids {
    pub(in crate::oci) limit: Option<i64>,
}

/// What system calls have to pass.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct Seccomp {
    pub(in crate::oci) default_action: String,
    #[serde(default)]
    pub(in crate::oci) default_errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) flags: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) syscalls: Vec<Syscall>,
}

/// What some system calls are answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct Syscall {
    pub(in crate::oci) names: Vec<String>,
    pub(in crate::oci) action: String,
    #[serde(default)]
    pub(in crate::oci) errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::oci) args: Vec<SeccompArg>,
}

/// What has to hold of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::oci) struct SeccompArg {
    pub(in crate::oci) index: u32,
    pub(in crate::oci) value: u64,
    #[serde(default)]
    pub(in crate::oci) value_two: u64,
    pub(in crate::oci) op: String,
}
