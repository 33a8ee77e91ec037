//! What is not offered is refused by its name, whatever a bundle says.

use harness::{TestEnvironment, for_one_user};
use serde_json::{Value, json};

use super::Bundle;

for_one_user!(
    what_is_not_offered_is_refused_by_its_name,
    what_makes_no_sense_is_refused_by_its_name,
    a_configuration_that_is_none_is_told_as_that,
);

/// Sets a value at a place such as `linux.resources.memory.limit`.
fn set(config: &mut Value, place: &str, value: Value) {
    let mut here = config;
    for key in place.split('.') {
        here = match key.parse::<usize>() {
            Ok(index) => &mut here[index],
            Err(_) => &mut here[key],
        };
    }
    *here = value;
}

fn what_is_not_offered_is_refused_by_its_name(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "true");
    let good = bundle.config.clone();
    let mut bundle = bundle;
    for (place, value) in [
        ("process.apparmorProfile", json!("acme_secure_profile")),
        (
            "process.selinuxLabel",
            json!("system_u:object_r:svirt_t:s0"),
        ),
        (
            "linux.mountLabel",
            json!("system_u:object_r:svirt_sandbox_file_t:s0:c715,c811"),
        ),
        ("linux.cgroupsPath", json!("/testing/container")),
        ("linux.resources.memory.reservation", json!(50_593_792)),
        ("linux.resources.cpu.shares", json!(1024)),
        ("linux.resources.blockIO", json!({"weight": 500})),
        (
            "linux.resources.hugepageLimits",
            json!([{"pageSize": "2MB", "limit": 4096}]),
        ),
        ("linux.resources.network", json!({"classID": 255})),
        ("linux.resources.unified", json!({"memory.high": "1"})),
        ("linux.intelRdt", json!({"closID": "x"})),
        ("linux.personality", json!({"domain": "LINUX32"})),
        ("linux.timeOffsets", json!({"boottime": {"secs": 1}})),
        ("linux.netDevices", json!({"eth0": {"name": "x"}})),
        ("vm", json!({"kernel": {"path": "/x"}})),
    ] {
        set(&mut bundle.config, place, value);
        let told = bundle.refusal();
        assert!(
            told.starts_with(&format!("error: config.json: {place} is not offered: ")),
            "{told}"
        );
        assert!(told.contains("\nhelp: "), "{told}");
        bundle.config = good.clone();
    }
}

fn what_makes_no_sense_is_refused_by_its_name(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    let good = bundle.config.clone();
    for (place, value, field) in [
        ("root", Value::Null, "root"),
        ("process.args", json!([]), "process.args"),
        ("process.cwd", json!("relative"), "process.cwd"),
        ("process.env", json!(["A"]), "process.env[0]"),
        ("process.user.uid", json!("root"), "process.user.uid"),
        (
            "mounts.0.destination",
            json!("/a/../b"),
            "mounts[0].destination",
        ),
        ("mounts.0.type", json!("nfs"), "mounts[0].type"),
        ("mounts.0.options", json!(["remount"]), "mounts[0].options"),
        ("mounts.1.options", json!(["nonsense"]), "mounts[1].options"),
        (
            "mounts.5",
            json!({"destination": "/x", "options": ["bind"]}),
            "mounts[5].source",
        ),
        (
            "mounts.5",
            json!({"destination": "/x", "source": "/gone", "options": ["bind"]}),
            "mounts[5].source",
        ),
        (
            "linux.namespaces",
            json!([{"type": "mount"}]),
            "linux.namespaces",
        ),
        (
            "linux.namespaces.0.type",
            json!("time"),
            "linux.namespaces[0]",
        ),
        (
            "linux.namespaces.0.type",
            json!("nonsense"),
            "linux.namespaces[0].type",
        ),
        (
            "linux.namespaces.1.type",
            json!("pid"),
            "linux.namespaces[1]",
        ),
        (
            "linux.namespaces.0.path",
            json!("/proc/1/ns/pid"),
            "linux.namespaces[0].path",
        ),
        (
            "linux.uidMappings",
            json!([{"containerID": 0, "hostID": 1, "size": 1}]),
            "linux.uidMappings",
        ),
        (
            "linux.rootfsPropagation",
            json!("nonsense"),
            "linux.rootfsPropagation",
        ),
        (
            "linux.seccomp",
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "linux.seccomp.defaultAction",
        ),
        (
            "hooks",
            json!({"prestart": [{"path": "relative"}]}),
            "hooks.prestart[0].path",
        ),
        ("hostname", json!("x".repeat(65)), "hostname"),
    ] {
        set(&mut bundle.config, place, value);
        let told = bundle.refusal();
        assert!(
            told.starts_with(&format!("error: config.json: {field}: ")),
            "{place}: {told}"
        );
        assert!(!told.contains("panicked"), "{told}");
        bundle.config = good.clone();
    }
    bundle.config["process"]["terminal"] = json!(true);
    assert!(bundle.refusal().starts_with("error: --console-socket: "));
}

fn a_configuration_that_is_none_is_told_as_that(env: &TestEnvironment) {
    let bundle = Bundle::new(env, "a", "true");
    let path = bundle.path();
    let create = || {
        let path = path.to_string_lossy();
        let done = env
            .agent(["oci", "create", "-b", &path, "a"])
            .run()
            .expect(1);
        done.errors().replace(&*path, "BUNDLE")
    };
    insta::assert_snapshot!(create(), @"error: failed to read BUNDLE/config.json: No such file or directory (os error 2)");
    env.write("a/config.json", "{\"ociVersion\": ");
    insta::assert_snapshot!(create(), @"error: config.json is no JSON: EOF while parsing a value at line 1 column 15");
    env.write("a/config.json", vec![b' '; (4 << 20) + 1]);
    insta::assert_snapshot!(create(), @"error: failed to read BUNDLE/config.json: it has more than 4 MiB");
    env.write("a/config.json", "[".repeat(100_000));
    assert!(create().starts_with("error: config.json is no JSON: recursion limit exceeded"));
    let _ = env.agent(["oci", "create"]).run().expect(2);
}
