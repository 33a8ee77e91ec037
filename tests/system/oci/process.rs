//! `process` (config.md): who the command is and what it may do.

use harness::{TestEnvironment, Who, for_everyone, for_one_user, for_users_with_ranges};
use serde_json::{Value, json};

use super::Bundle;

for_everyone!(
    the_process_is_as_the_bundle_says,
    capabilities_are_those_of_the_bundle,
    limits_are_those_of_the_bundle,
    a_limit_that_is_not_held_is_a_warning,
    a_bundle_s_own_seccomp_profile_comes_on_top_of_the_default_one,
);

for_users_with_ranges!(a_process_has_its_user_and_groups);

for_one_user!(
    a_process_without_capabilities_has_none,
    what_the_kernel_does_not_know_is_an_error,
);

/// The lines of `/proc/self/status` that are about privileges.
const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";

/// runtime-tools: `process`, `process_oom_score_adj`, `default`.
fn the_process_is_as_the_bundle_says(env: &TestEnvironment) {
    let script = "pwd; echo $testa,$testb; cat /proc/self/oom_score_adj; umask; \
        for link in fd ptmx stdin stdout stderr; do readlink /dev/$link; done; \
        for node in null zero full random urandom tty; do stat -c '%F %t:%T %a' /dev/$node; done";
    let mut bundle = Bundle::new(env, "a", script);
    bundle.config["process"]["cwd"] = json!("/made/for/it");
    bundle.config["process"]["oomScoreAdj"] = json!(500);
    bundle.config["process"]["user"]["umask"] = json!(0o027);
    let env_of = bundle.config["process"]["env"].as_array_mut();
    env_of
        .expect("a list")
        .extend([json!("testa=valuea"), json!("testb=1=2")]);
    let expected = [
        "/made/for/it",
        "valuea,1=2",
        "500",
        "0027",
        "/proc/self/fd",
        "pts/ptmx",
        "/proc/self/fd/0",
        "/proc/self/fd/1",
        "/proc/self/fd/2",
        "character special file 1:3 666",
        "character special file 1:5 666",
        "character special file 1:7 666",
        "character special file 1:8 666",
        "character special file 1:9 666",
        "character special file 5:0 666",
    ];
    assert_eq!(bundle.run().lines().collect::<Vec<_>>(), expected);
}

fn status(bundle: &Bundle<'_>) -> Vec<String> {
    bundle
        .run()
        .lines()
        .map(|line| line.replace('\t', " "))
        .collect()
}

fn capabilities_are_those_of_the_bundle(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", STATUS);
    let sets = [
        (
            "bounding",
            json!(["CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN"]),
        ),
        ("permitted", json!(["CAP_CHOWN", "CAP_KILL"])),
        ("effective", json!(["CAP_CHOWN"])),
        ("inheritable", json!(["CAP_KILL"])),
        ("ambient", json!(["CAP_KILL"])),
    ];
    for (name, set) in sets {
        bundle.config["process"]["capabilities"][name] = set;
    }
    bundle.config["process"]["noNewPrivileges"] = json!(true);
    // Executing a program puts in force what root may have (capabilities(7)).
    assert_eq!(
        status(&bundle),
        [
            "CapInh: 0000000000000020",
            "CapPrm: 0000000000000021",
            "CapEff: 0000000000000021",
            "CapBnd: 0000000000200021",
            "CapAmb: 0000000000000020",
            "NoNewPrivs: 1",
            "Seccomp: 2",
        ]
    );
}

/// contest: `process_capabilities_bounding` and what an empty configuration means.
fn a_process_without_capabilities_has_none(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", STATUS);
    bundle.config["process"]["capabilities"] = Value::Null;
    let status = status(&bundle);
    let none = status
        .iter()
        .filter(|line| line.ends_with(" 0000000000000000"));
    assert_eq!(none.count(), 5, "{status:?}");
    assert!(status.contains(&"NoNewPrivs: 0".to_owned()), "{status:?}");
}

/// runtime-tools: `process_user`.
fn a_process_has_its_user_and_groups(env: &TestEnvironment) {
    let mut bundle = Bundle::new(
        env,
        "a",
        "id -u; id -g; id -G; umask; grep CapEff /proc/self/status",
    );
    bundle.config["process"]["user"] =
        json!({"uid": 10, "gid": 10, "additionalGids": [5, 77], "umask": 2});
    let output = bundle.run();
    assert_eq!(
        output.replace('\t', " "),
        "10\n10\n10 5 77\n0002\nCapEff: 00000000a80425fb\n"
    );
}

/// runtime-tools: `process_rlimits`.
fn limits_are_those_of_the_bundle(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "cat /proc/self/limits");
    let gigabytes = |number: u64| number << 30;
    let limit =
        |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    bundle.config["process"]["rlimits"] = json!([
        limit("RLIMIT_AS", gigabytes(1), gigabytes(2)),
        limit("RLIMIT_CORE", 0, 0),
        limit("RLIMIT_DATA", gigabytes(5), gigabytes(6)),
        limit("RLIMIT_FSIZE", gigabytes(7), gigabytes(8)),
        limit("RLIMIT_CPU", 60, 120),
        limit("RLIMIT_NOFILE", 300, 400),
    ]);
    let output = bundle.run();
    for line in [
        "Max address space 1073741824 2147483648 bytes",
        "Max core file size 0 0 bytes",
        "Max data size 5368709120 6442450944 bytes",
        "Max file size 7516192768 8589934592 bytes",
        "Max cpu time 60 120 seconds",
        "Max open files 300 400 files",
    ] {
        let is_it = |other: &str| other.split_whitespace().eq(line.split_whitespace());
        assert!(output.lines().any(is_it), "no `{line}` in {output}");
    }
}

/// runtime-tools: `linux_seccomp`.
fn a_bundle_s_own_seccomp_profile_comes_on_top_of_the_default_one(env: &TestEnvironment) {
    let script = "mkdir /x 2>/dev/null || echo no mkdir; mkdir /y 2>/dev/null; rmdir /y 2>/dev/null; \
        mount -t tmpfs none /mnt 2>/dev/null || echo no mount; kill -0 $$ && echo kill";
    let mut bundle = Bundle::new(env, "a", script);
    bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            {"names": ["personality"], "action": "SCMP_ACT_ERRNO",
             "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]}
        ]
    });
    assert_eq!(bundle.run(), "no mkdir\nno mount\nkill\n");
}

/// runtime-tools: `process_capabilities_fail`, `process_rlimits_fail`.
fn what_the_kernel_does_not_know_is_an_error(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    let good = bundle.config.clone();
    bundle.config["process"]["capabilities"]["bounding"] = json!(["CAP_TEST"]);
    insta::assert_snapshot!(bundle.refusal(), @r#"error: config.json: process.capabilities.bounding[0]: "CAP_TEST" is no capability"#);
    bundle.config = good;
    bundle.config["process"]["rlimits"] = json!([{"type": "RLIMIT_TEST", "soft": 1, "hard": 1}]);
    insta::assert_snapshot!(bundle.refusal(), @r#"error: config.json: process.rlimits[0].type: "RLIMIT_TEST" is no limit of the kernel's"#);
}

/// Where there are no control groups, which only root has here.
fn a_limit_that_is_not_held_is_a_warning(env: &TestEnvironment) {
    let mut bundle = Bundle::new(env, "a", "true");
    bundle.config["linux"]["resources"]["cpu"] = json!({"quota": 50000, "period": 100_000});
    let log = env.root().join("log");
    let log = log.to_string_lossy();
    env.write("a/config.json", bundle.config.to_string());
    let path = bundle.path();
    let path = path.to_string_lossy();
    let words = ["--log", &*log, "create", "--bundle", &path, "a"];
    assert_eq!(bundle.agent(&words).code(), 0, "{}", bundle.errors());
    let told = "There are no control groups for you here: `cpus` is not held";
    let is_held = env.who() == Who::Root;
    let logged = std::fs::read_to_string(&*log).unwrap_or_default();
    assert_eq!(logged.contains(told), !is_held, "{logged}");
    assert_eq!(
        bundle.errors().contains(told),
        !is_held,
        "{}",
        bundle.errors()
    );
}
