//! `root`, `mounts`, and what of Linux is about them (config.md, config-linux.md).

use std::os::unix::fs::symlink;

use harness::{TestEnvironment, Who, for_everyone, for_one_user, for_root, for_users_with_ranges};
use serde_json::json;

use super::Bundle;

for_everyone!(
    mounts_are_made_in_order_with_their_options,
    a_directory_of_the_machine_is_shown_as_the_bundle_says,
    paths_are_masked_and_read_only,
    a_root_that_is_read_only_takes_nothing,
    devices_of_the_root_cannot_be_opened,
);

for_one_user!(
    a_path_that_cannot_be_covered_is_an_error,
    the_root_has_the_propagation_of_the_bundle,
    links_of_the_root_do_not_lead_out_of_it,
    links_of_the_root_do_not_lead_to_the_kernels_files,
    programs_of_a_read_only_path_can_be_executed,
    what_always_is_covered_stays_so,
    devices_are_the_machines,
);

for_users_with_ranges!(owners_in_the_root_are_the_containers);

for_root!(masked_devices_are_covered);

/// Mount points in order, with type, options and source.
const TABLE: &str = "sed 's/^[0-9]* [0-9]* [0-9:]* //; s/ - / /' /proc/self/mountinfo";

/// runtime-tools: `mounts`, `default`.
fn mounts_are_made_in_order_with_their_options(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", TABLE);
    let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
    let options = ["nosuid", "strictatime", "mode=755", "size=1k"];
    for spread in ["shared", "slave", "private", "unbindable"] {
        let mut options = options.to_vec();
        options.push(spread);
        mounts.push(json!({
            "destination": format!("/tmp/test-{spread}"), "type": "tmpfs", "source": "tmpfs", "options": options
        }));
    }
    for spread in [
        "shared",
        "rshared",
        "slave",
        "rslave",
        "private",
        "rprivate",
        "unbindable",
        "runbindable",
    ] {
        let bind = if spread.len() > 6 && spread.starts_with('r') {
            "rbind"
        } else {
            "bind"
        };
        let mut options = options.to_vec();
        // A plain user's mounts of the machine keep what they note.
        options.retain(|option| *option != "strictatime" || env.who() == Who::Root);
        options.extend([bind, spread]);
        mounts.push(json!({
            "destination": format!("/mnt/etc-{spread}"), "source": "/etc", "options": options
        }));
    }
    let wanted: Vec<_> = mounts
        .iter()
        .map(|mount| {
            let kind = mount["type"].as_str().unwrap_or("bind");
            format!(
                "{} {kind}",
                mount["destination"].as_str().unwrap_or_default()
            )
        })
        .collect();
    let table = bundle.run();
    let mut found: Vec<String> = Vec::new();
    for line in table.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let (root, target) = (fields[0], fields[1]);
        let kind = if root == "/" {
            fields[fields.len() - 3]
        } else {
            "bind"
        };
        let one = format!("{target} {kind}");
        if wanted.contains(&one) {
            found.push(one);
        }
    }
    assert_eq!(found, wanted, "{table}");
    let line = |target: &str| {
        let found = table
            .lines()
            .find(|line| line.split(' ').nth(1) == Some(target));
        found.unwrap_or_else(|| panic!("no {target} in {table}"))
    };
    assert!(line("/proc").contains("nosuid,nodev,noexec"), "{table}");
    assert!(line("/proc").contains(" proc proc "), "{table}");
    assert!(line("/sys").contains("ro,"), "{table}");
    assert!(
        line("/dev/shm").contains(" tmpfs shm ") && line("/dev/shm").contains("size=65536k"),
        "{table}"
    );
    assert!(line("/tmp/test-shared").contains(" shared:"), "{table}");
    assert!(
        line("/tmp/test-private").contains("size=4k,mode=755"),
        "{table}"
    );
    assert!(
        line("/tmp/test-unbindable").contains(" unbindable "),
        "{table}"
    );
    assert!(line("/mnt/etc-shared").contains(" shared:"), "{table}");
    assert!(line("/mnt/etc-slave").contains("nosuid,nodev"), "{table}");
    assert!(
        line("/mnt/etc-unbindable").contains(" unbindable "),
        "{table}"
    );
}

/// contest: `mounts_recursive`, without what it mounts on the machine.
fn a_directory_of_the_machine_is_shown_as_the_bundle_says(env: &TestEnvironment) {
    env.write("shared/in", "from outside\n");
    env.write("shared/program", "#!/bin/sh\necho executed\n");
    let program = env.root().join("shared/program");
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("make it a program");
    let script = "cat /data/in; echo kept > /data/out; stat -c %u:%g /data/out; /data/program; \
        touch /data-ro/x 2>/dev/null || echo read only; /data-ro/program 2>/dev/null || echo not executed; \
        cat /deep/er/one-file";
    let mut bundle = Bundle::new(env, "a", script);
    let shared = env.root().join("shared");
    let shared = shared.to_string_lossy();
    let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.extend([
        json!({"destination": "/data", "type": "bind", "source": shared, "options": ["rbind", "rw"]}),
        json!({"destination": "/data-ro", "source": shared, "options": ["rbind", "rro", "noexec"]}),
        json!({"destination": "/deep/er/one-file", "type": "none", "source": "../shared/in", "options": ["bind"]}),
    ]);
    assert_eq!(
        bundle.run(),
        "from outside\n0:0\nexecuted\nread only\nnot executed\nfrom outside\n"
    );
    assert_eq!(env.read("shared/out"), "kept\n");
    assert_eq!(env.owner("shared/out"), env.caller());
}

/// runtime-tools: `linux_masked_paths`, `linux_readonly_paths`.
fn paths_are_masked_and_read_only(env: &TestEnvironment) {
    let script = "cat /hidden/below/file /hidden-file /hidden/file 2>/dev/null; ls -A /hidden; echo looked; \
        cat /kept/below/file /kept-file; for file in /kept/below/file /kept-file /kept/new; do \
        (echo x > $file) 2>/dev/null && echo written to $file; done; true";
    let mut bundle = Bundle::new(env, "a", script);
    for (name, text) in [
        ("hidden/below/file", "secret\n"),
        ("hidden/file", "secret\n"),
        ("hidden-file", "secret\n"),
        ("kept/below/file", "one\n"),
        ("kept-file", "two\n"),
    ] {
        bundle.write(name, text);
    }
    bundle.config["linux"]["maskedPaths"] = json!([
        "/hidden",
        "/hidden-file",
        "/hidden/below",
        "/hidden/below/file",
        "/not/there"
    ]);
    bundle.config["linux"]["readonlyPaths"] =
        json!(["/kept", "/kept-file", "/kept/below", "/not/there"]);
    assert_eq!(bundle.run(), "looked\none\ntwo\n");
}

/// The same, for what stands in the way.
fn a_path_that_cannot_be_covered_is_an_error(env: &TestEnvironment) {
    for list in ["maskedPaths", "readonlyPaths"] {
        let mut bundle = Bundle::new(env, list, "true");
        symlink("../link", bundle.root().join("link")).expect("make the link");
        bundle.config["linux"][list] = json!(["relative"]);
        assert!(bundle.refusal().contains(r#""relative" is not absolute"#));
        bundle.config["linux"][list] = json!(["/link"]);
        assert!(
            bundle
                .refusal()
                .contains("the image's /link is not usable as a mount point")
        );
    }
}

/// runtime-tools: `linux_masked_paths` and `linux_readonly_paths`, device nodes.
fn masked_devices_are_covered(env: &TestEnvironment) {
    for (name, arguments) in [
        ("block", &["b", "0", "0"][..]),
        ("character", &["c", "0", "0"]),
        ("pipe", &["p"]),
    ] {
        let mut bundle = Bundle::new(env, name, "stat -c %t:%T /masked; stat -c %F /kept");
        for file in ["masked", "kept"] {
            let node = bundle.root().join(file);
            crate::support::must(
                std::process::Command::new("mknod")
                    .arg(node)
                    .args(arguments),
            );
        }
        bundle.config["linux"]["maskedPaths"] = json!(["/masked"]);
        bundle.config["linux"]["readonlyPaths"] = json!(["/kept"]);
        let output = bundle.run();
        assert!(output.starts_with("1:3\n"), "{output}");
    }
}

/// runtime-tools: `root_readonly_true`.
fn a_root_that_is_read_only_takes_nothing(env: &TestEnvironment) {
    let mut bundle = Bundle::new(
        env,
        "a",
        "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo but there",
    );
    bundle.config["root"]["readonly"] = json!(true);
    assert_eq!(bundle.run(), "refused\nbut there\n");
    let mut bundle = Bundle::new(env, "b", "touch /x && echo written");
    bundle.config["root"]["readonly"] = json!(false);
    assert_eq!(bundle.run(), "written\n");
    assert!(bundle.root().join("x").exists());
    assert_eq!(env.owner("b/rootfs/x"), env.caller());
}

/// runtime-tools: `linux_rootfs_propagation`.
fn the_root_has_the_propagation_of_the_bundle(env: &TestEnvironment) {
    let script = "mkdir -p /target /mount /test; touch /test/example; \
        mount --rbind / /target || exit 0; mount --rbind /test /mount; \
        test -e /target/mount/example && echo exposed || echo not exposed";
    for (propagation, expected) in [
        ("shared", "exposed\n"),
        ("slave", "not exposed\n"),
        ("private", "not exposed\n"),
        ("unbindable", ""),
    ] {
        let mut bundle = Bundle::new(env, propagation, script);
        bundle.config["linux"]["rootfsPropagation"] = json!(propagation);
        for set in ["bounding", "effective", "permitted"] {
            let set = bundle.config["process"]["capabilities"][set].as_array_mut();
            set.expect("a list").push(json!("CAP_SYS_ADMIN"));
        }
        assert_eq!(bundle.run(), expected, "{propagation}: {}", bundle.errors());
    }
}

/// contest: `prohibit_symlink`, and that links inside of the root are followed there.
fn links_of_the_root_do_not_lead_out_of_it(env: &TestEnvironment) {
    env.write("outside/kept", "kept\n");
    env.write("source", "mounted\n");
    let mut bundle = Bundle::new(env, "a", "cat /link/file /real/file");
    bundle.write("real/.keep", "");
    symlink("/real", bundle.root().join("link")).expect("make the link");
    let source = env.root().join("source");
    let mount = |destination: &str| json!({"destination": destination, "source": source, "options": ["bind"]});
    let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.push(mount("/link/file"));
    assert_eq!(bundle.run(), "mounted\nmounted\n");

    let bundle = Bundle::new(env, "b", "true");
    std::fs::remove_dir(bundle.root().join("proc")).expect("remove the directory");
    symlink("/tmp", bundle.root().join("proc")).expect("make the link");
    assert!(
        bundle
            .refusal()
            .contains("the image's /proc is not usable as a directory")
    );
    assert_eq!(env.read("outside/kept"), "kept\n");
}

/// What a bundle does not mask is masked all the same, and nothing is mounted over the kernel's files.
fn what_always_is_covered_stays_so(env: &TestEnvironment) {
    let script = "head -c 1 /proc/kcore /proc/keys 2>/dev/null | wc -c; (echo 1 > /proc/sys/kernel/domainname) 2>/dev/null || echo refused";
    let mut bundle = Bundle::new(env, "a", script);
    let good = bundle.config.clone();
    assert!(bundle.run().ends_with("refused\n"));
    let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
    mounts.push(json!({"destination": "/proc/self", "type": "tmpfs", "source": "tmpfs"}));
    assert!(
        bundle
            .refusal()
            .contains("nothing can be mounted on /proc/self")
    );
    bundle.config = good;
}

/// A device node that somebody has put into the root is none in the container.
fn devices_of_the_root_cannot_be_opened(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    let bundle = Bundle::new(env, "a", "cat /node 2>&1; cat /dev/null && echo null");
    let node = bundle.root().join("node");
    crate::support::must(
        std::process::Command::new("mknod")
            .arg("-m")
            .arg("666")
            .arg(node)
            .args(["c", "1", "3"]),
    );
    let output = bundle.run();
    assert!(output.contains("Permission denied"), "{output}");
    assert!(output.ends_with("null\n"), "{output}");
}

/// runtime-tools: `linux_devices`, as far as a user namespace goes.
fn devices_are_the_machines(env: &TestEnvironment) {
    let mut bundle = Bundle::new(
        env,
        "a",
        "stat -c '%F %t:%T' /dev/copy-of-zero /dev/zero; stat -c '%F %a' /dev/pipe",
    );
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o660, "uid": 0, "gid": 0}
    ]);
    let output = bundle.run();
    assert!(output.contains("character special file 1:5\n"), "{output}");
    assert!(output.contains("fifo 660\n"), "{output}");
    bundle.config["linux"]["devices"] =
        json!([{"path": "/dev/test1", "type": "c", "major": 10, "minor": 666}]);
    assert!(
        bundle
            .refusal()
            .contains("in a user namespace none can be made")
    );
}

/// Container ids on disk are the bundle's, shifted by nothing.
fn owners_in_the_root_are_the_containers(env: &TestEnvironment) {
    let bundle = Bundle::new(
        env,
        "a",
        "touch /x; chown 7:8 /x; stat -c %u:%g /x /bin/busybox",
    );
    assert_eq!(bundle.run(), "7:8\n0:0\n");
}

/// CVE-2019-16884, CVE-2019-19921.
fn links_of_the_root_do_not_lead_to_the_kernels_files(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/in", "from outside\n");
    for (id, link, mount) in [
        (
            "a",
            "/proc",
            json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs"}),
        ),
        (
            "b",
            "/proc",
            json!({"destination": "/data", "source": shared, "options": ["bind"]}),
        ),
        (
            "c",
            "sys",
            json!({"destination": "/data/kernel", "type": "tmpfs", "source": "tmpfs"}),
        ),
        (
            "d",
            "/sys/fs/cgroup",
            json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs"}),
        ),
    ] {
        let mut bundle = Bundle::new(env, id, "true");
        symlink(link, bundle.root().join("data")).expect("make a link");
        let path = mount["destination"].as_str().unwrap_or_default().to_owned();
        let mounts = bundle.config["mounts"].as_array_mut().expect("a list");
        mounts.push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}));
        mounts.push(mount);
        let told = bundle.refusal();
        let expected =
            format!("nothing can be mounted on {path}: `/proc` and `/sys` are the kernel's");
        assert!(told.contains(&expected), "{told}");
    }
}

fn programs_of_a_read_only_path_can_be_executed(env: &TestEnvironment) {
    let script = "/bin/echo executed; touch /bin/x 2>/dev/null || echo read only";
    let mut bundle = Bundle::new(env, "a", script);
    bundle.config["linux"]["readonlyPaths"] = json!(["/bin"]);
    assert_eq!(bundle.run(), "executed\nread only\n");
}
