//! `linux.namespaces`, ids and parameters of the kernel (config-linux.md).

use std::fs;
use std::process::{Child, Command, Stdio};

use harness::{TestEnvironment, Who, for_everyone, for_root};
use serde_json::json;

use super::Bundle;

for_everyone!(
    namespaces_are_new_or_the_callers,
    parameters_of_the_containers_own_namespaces_are_set,
);

for_root!(namespaces_of_others_are_joined, ids_are_those_of_the_bundle);

/// Message queues can be mounted by the owner of their namespace alone.
fn without_queues(bundle: &mut Bundle<'_>) {
    let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.retain(|mount| mount["type"] != "mqueue");
}

fn namespace(pid: i64, kind: &str) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}"));
    link.expect("read the namespace")
        .to_string_lossy()
        .into_owned()
}

/// runtime-tools: `linux_ns_nopath`, `linux_ns_itype`.
fn namespaces_are_new_or_the_callers(env: &TestEnvironment) {
    let own = i64::from(std::process::id());
    let mut bundle = Bundle::new(env, "new", "true");
    let list = bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list");
    list.extend([json!({"type": "cgroup"}), json!({"type": "user"})]);
    bundle.create();
    let pid = bundle.pid();
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        assert_ne!(namespace(pid, kind), namespace(own, kind), "{kind}");
    }

    let mut bundle = Bundle::new(env, "inherited", "true");
    bundle.config["hostname"] = json!("");
    without_queues(&mut bundle);
    bundle.config["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "pid"}]);
    bundle.create();
    let pid = bundle.pid();
    for kind in ["cgroup", "ipc", "net", "uts"] {
        assert_eq!(namespace(pid, kind), namespace(own, kind), "{kind}");
    }
    // What keeps a container from being the machine's is not to be had away.
    for kind in ["mnt", "pid", "user"] {
        assert_ne!(namespace(pid, kind), namespace(own, kind), "{kind}");
    }
}

/// Something in namespaces of its own, until this is dropped.
struct Other(Child);

impl Other {
    fn with(option: &str) -> Self {
        let mut child = Command::new("unshare")
            .args([option, "--", "sh", "-c", "echo ready; exec sleep 1000"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("start unshare");
        let mut line = [0; 6];
        let output = child.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(output, &mut line).expect("it is ready");
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// runtime-tools: `linux_ns_path`, `linux_ns_path_type`.
fn namespaces_of_others_are_joined(env: &TestEnvironment) {
    assert_eq!(env.who(), Who::Root);
    for (kind, file, wrong, option) in [
        ("ipc", "ipc", "mnt", "--ipc"),
        ("network", "net", "pid", "--net"),
        ("uts", "uts", "cgroup", "--uts"),
        ("cgroup", "cgroup", "ipc", "--cgroup"),
    ] {
        let other = Other::with(option);
        let id = i64::from(other.0.id());
        let mut bundle = Bundle::new(env, kind, "true");
        bundle.config["process"]["args"] = json!(["hostname"]);
        without_queues(&mut bundle);
        let list = bundle.config["linux"]["namespaces"]
            .as_array_mut()
            .expect("a list");
        list.retain(|one| one["type"] != kind);
        list.push(json!({"type": kind, "path": format!("/proc/{id}/ns/{wrong}")}));
        let last = list.len() - 1;
        assert!(bundle.refusal().contains("failed to enter"), "{kind}");
        bundle.config["linux"]["namespaces"][last]["path"] = json!(format!("/proc/{id}/ns/{file}"));
        bundle.create();
        assert_eq!(namespace(bundle.pid(), file), namespace(id, file), "{kind}");
        bundle.start();
        bundle.wait();
        // A name that is joined is set there, and not on the machine.
        assert_eq!(bundle.output(), "mrsdalloway\n");
    }
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").expect("read the machine's name");
    assert_ne!(name, "mrsdalloway\n");
}

/// runtime-tools: `linux_sysctl`.
fn parameters_of_the_containers_own_namespaces_are_set(env: &TestEnvironment) {
    let script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax; cat /proc/sys/kernel/domainname";
    let mut bundle = Bundle::new(env, "a", script);
    bundle.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.msgmax": "4321"});
    bundle.config["domainname"] = json!("example.org");
    assert_eq!(bundle.run(), "1\n4321\nexample.org\n");
    for (key, problem) in [
        (
            "kernel.core_pattern",
            "it is a parameter of the whole machine",
        ),
        ("net/../kernel/core_pattern", "it is no parameter's name"),
    ] {
        bundle.config["linux"]["sysctl"] = json!({ key: "x" });
        assert!(bundle.refusal().contains(problem), "{key}");
    }
}

/// runtime-tools: `linux_uid_mappings`.
fn ids_are_those_of_the_bundle(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "cat /proc/self/uid_map /proc/self/gid_map; id -u");
    let list = bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list");
    list.push(json!({"type": "user"}));
    bundle.config["linux"]["uidMappings"] =
        json!([{"containerID": 0, "hostID": 1000, "size": 2000}]);
    bundle.config["linux"]["gidMappings"] =
        json!([{"containerID": 0, "hostID": 1000, "size": 3000}]);
    // Owners on disk are the machine's then, and the root is not the container's to change.
    bundle.config["process"]["cwd"] = json!("/");
    let words: Vec<_> = bundle.run().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["0", "1000", "2000", "0", "1000", "3000", "0"]);
    bundle.config["linux"]["uidMappings"][0]["hostID"] = json!(0);
    assert!(
        bundle
            .refusal()
            .contains("a container never has this machine's id 0")
    );
}
