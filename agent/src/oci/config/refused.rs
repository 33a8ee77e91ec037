//! What the specification has and this runtime does not. Nothing of it is passed over: whoever asks for it is told.

use serde_json::Value;

use crate::oci::OciError;

/// Where it stands in `config.json`, with `*` for every element of a list, and why it is not offered.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "process.apparmorProfile",
        "AppArmor profiles are not loaded here",
    ),
    ("process.selinuxLabel", "SELinux labels are not set here"),
    ("process.scheduler", "scheduling policies are the machine's"),
    ("process.ioPriority", "I/O priorities are the machine's"),
    ("process.execCPUAffinity", "processors are the machine's"),
    ("process.commandLine", "it is for Windows"),
    ("mounts.*.uidMappings", "mounts have the container's ids"),
    ("mounts.*.gidMappings", "mounts have the container's ids"),
    (
        "hooks.createContainer",
        "a hook inside of a container that is not finished would run with all of its privileges",
    ),
    (
        "linux.cgroupsPath",
        "the container's control group is below the agent's own, and gone with the container",
    ),
    (
        "linux.resources.memory.reservation",
        "only hard limits are held",
    ),
    (
        "linux.resources.memory.kernel",
        "the kernel has no limit of its own any more",
    ),
    (
        "linux.resources.memory.kernelTCP",
        "the kernel has no limit of its own any more",
    ),
    (
        "linux.resources.memory.swappiness",
        "a container with a limit gets no swap",
    ),
    (
        "linux.resources.memory.disableOOMKiller",
        "a container that is out of memory would stand still for ever",
    ),
    (
        "linux.resources.memory.checkBeforeUpdate",
        "limits are not changed later",
    ),
    (
        "linux.resources.cpu.shares",
        "weights between containers are the machine's",
    ),
    ("linux.resources.cpu.burst", "only hard limits are held"),
    (
        "linux.resources.cpu.realtimeRuntime",
        "scheduling policies are the machine's",
    ),
    (
        "linux.resources.cpu.realtimePeriod",
        "scheduling policies are the machine's",
    ),
    ("linux.resources.cpu.cpus", "processors are the machine's"),
    ("linux.resources.cpu.mems", "memory nodes are the machine's"),
    (
        "linux.resources.cpu.idle",
        "weights between containers are the machine's",
    ),
    (
        "linux.resources.blockIO",
        "the agent's groups have no I/O controller",
    ),
    (
        "linux.resources.hugepageLimits",
        "the agent's groups have no such controller",
    ),
    (
        "linux.resources.network",
        "the agent's groups have no such controller",
    ),
    (
        "linux.resources.rdma",
        "the agent's groups have no such controller",
    ),
    (
        "linux.resources.unified",
        "files of the kernel are written for limits that have a name here",
    ),
    (
        "linux.seccomp.listenerPath",
        "no agent is asked about system calls",
    ),
    (
        "linux.seccomp.listenerMetadata",
        "no agent is asked about system calls",
    ),
    ("linux.mountLabel", "SELinux labels are not set here"),
    (
        "linux.intelRdt",
        "caches and memory bandwidth are the machine's",
    ),
    ("linux.memoryPolicy", "memory nodes are the machine's"),
    (
        "linux.personality",
        "programs of another personality do not pass the default seccomp profile",
    ),
    ("linux.timeOffsets", "containers have the machine's clocks"),
    ("linux.netDevices", "network devices stay the machine's"),
    ("solaris", "this is Linux"),
    ("windows", "this is Linux"),
    ("vm", "containers share the machine's kernel"),
    ("zos", "this is Linux"),
    ("freebsd", "this is Linux"),
];

/// Looks for it.
pub(super) fn check(config: &Value) -> Result<(), OciError> {
    for (path, reason) in REFUSED {
        if let Some(field) = find(config, path) {
            return Err(OciError::Refused { field, reason });
        }
    }
    Ok(())
}

/// Where something stands at the path, if it does.
fn find(value: &Value, path: &str) -> Option<String> {
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    if key == "*" {
        let all = value.as_array()?;
        return (0..).zip(all).find_map(|(index, one)| {
            let below = find(one, rest)?;
            Some(format!("[{index}].{below}"))
        });
    }
    let found = value.get(key)?;
    if rest.is_empty() {
        return (!is_nothing(found)).then(|| key.to_owned());
    }
    let below = find(found, rest)?;
    let dot = if below.starts_with('[') { "" } else { "." };
    Some(format!("{key}{dot}{below}"))
}

/// Whether a value says nothing: what Go writes of a structure that nobody has filled in.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.values().all(is_nothing),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(config: &Value) -> String {
        check(config).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn what_is_not_offered_is_named() {
        insta::assert_snapshot!(told(&json!({"process": {"selinuxLabel": "x"}})), @"config.json: process.selinuxLabel is not offered: SELinux labels are not set here");
        insta::assert_snapshot!(told(&json!({"mounts": [{}, {"uidMappings": [{}]}]})), @"config.json: mounts[1].uidMappings is not offered: mounts have the container's ids");
        insta::assert_snapshot!(told(&json!({"linux": {"resources": {"cpu": {"shares": 5}}}})), @"config.json: linux.resources.cpu.shares is not offered: weights between containers are the machine's");
    }

    #[test]
    fn what_says_nothing_is_not_refused() {
        let config = json!({
            "process": {"selinuxLabel": "", "scheduler": null},
            "mounts": [{"uidMappings": []}],
            "hooks": {"createContainer": null},
            "linux": {"resources": {"memory": {"disableOOMKiller": false}, "blockIO": {"weight": null}, "unified": {}}},
        });
        assert_eq!(told(&config), "fine");
    }
}
