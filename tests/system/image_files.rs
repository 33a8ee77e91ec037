//! Root file systems in the files of other engines: squashfs, Singularity's, rkt's, LXC's and LXD's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use harness::{TestEnvironment, for_everyone, for_one_user, images};

use crate::door_containers::agent;
use crate::support::must;

for_everyone!(
    a_squashfs_is_an_image,
    a_damaged_squashfs_ends_with_its_pull,
);

for_one_user!(
    a_singularity_image_runs,
    a_sif_without_a_system_is_refused,
    an_aci_runs_as_its_manifest_says,
    lxc_images_run,
    such_an_image_can_be_saved,
);

/// A shell script in the project, as the user of the test; `$TAR` is the root file system.
fn sh(env: &TestEnvironment, script: &str) {
    let id = env.uid().to_string();
    let mut command = match env.is_set_up_by_root() {
        true => Command::new("setpriv"),
        false => Command::new("env"),
    };
    if env.is_set_up_by_root() {
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    let script = format!("set -eu\n{script}");
    must(
        command
            .args(["bash", "-c", &script])
            .env("TAR", images::path("busybox.tar"))
            .current_dir(env.project()),
    );
}

/// What every root file system of these tests is like.
fn assert_runs(env: &TestEnvironment, image: &str) {
    let script = "stat -c '%a %u:%g' /tmp /home/app; readlink /bin/ls; wc -c </bin/busybox";
    let done = agent(env, &["run", image, "sh", "-c", script]).expect(0);
    let output = done.output();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "1777 0:0", "{image}: {done}");
    // With one id there is one owner.
    assert!(
        ["755 1000:1000", "755 0:0"].contains(&lines[1]),
        "{image}: {done}"
    );
    assert_eq!(lines[2], "busybox", "{image}: {done}");
    let size = fs::metadata("/bin/busybox").map(|found| found.len().to_string());
    assert_eq!(Some(lines[3]), size.ok().as_deref(), "{image}: {done}");
    let _ = agent(env, &["image", "verify", image])
        .expect(0)
        .says("ok: ");
}

fn a_squashfs_is_an_image(env: &TestEnvironment) {
    for compressor in ["gzip", "xz", "zstd", "lz4"] {
        sh(
            env,
            &format!(
                "sqfstar -quiet -no-progress -all-time 1700000000 -comp {compressor} {compressor}.sqfs <$TAR"
            ),
        );
        assert_runs(env, &format!("squashfs:{compressor}.sqfs"));
    }
    // The same content under another compressor is the same layer.
    let layers: Vec<String> = ["gzip", "xz"]
        .map(|compressor| {
            let name = format!("squashfs:{compressor}.sqfs");
            let text = agent(env, &["image", "inspect", &name]).expect(0).output();
            let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            list[0]["layers"].to_string()
        })
        .into();
    assert_eq!(layers[0], layers[1]);
}

/// Numbers that a seed reproduces (xorshift64, Marsaglia 2003).
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap_or(0)
}

/// Metadata that are not compressed, so that each change is one of the structure: directories in circles, sizes that
/// cannot be, names that climb.
fn a_damaged_squashfs_ends_with_its_pull(env: &TestEnvironment) {
    sh(
        env,
        "mkdir -p tree/a/b/c && echo x >tree/a/b/c/x && ln -s /etc tree/link && cp -r tree/a tree/d\n\
         mksquashfs tree whole.sqfs -quiet -no-progress -noI -noId -noD -noF -all-root",
    );
    let whole = fs::read(env.project().join("whole.sqfs")).expect("read the image");
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let mut state = u64::from(std::process::id()) | 1;
    let seed = state;
    let mut refused = 0;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next(&mut state) % 3 {
            let at = next(&mut state) % end;
            bytes[at] = u8::try_from(next(&mut state) % 256).unwrap_or(0);
        }
        env.write("project/damaged.sqfs", &bytes);
        let done = agent(env, &["pull", "-q", "squashfs:damaged.sqfs"]).does_not_say("panicked");
        if done.code() != 0 {
            refused += 1;
            assert_eq!(done.code(), 1, "seed {seed}: {done}");
            let _ = done.says("squashfs:");
        }
    }
    assert!(refused > 5, "only {refused} were refused, seed {seed}");
    for (bytes, why) in [
        (&whole[..end / 2], "is damaged"),
        (&b"hsqs"[..], "is damaged"),
        (&b"tar"[..], "is no squashfs image"),
    ] {
        env.write("project/damaged.sqfs", bytes);
        let _ = agent(env, &["pull", "squashfs:damaged.sqfs"])
            .expect(1)
            .says(why);
    }
    // Nothing of it stays.
    let _ = agent(env, &["image", "verify"]).expect(0);
    let _ = agent(env, &["df"]).expect(0).does_not_say("remains");
}

fn sif(env: &TestEnvironment) -> PathBuf {
    sh(
        env,
        "sqfstar -quiet -no-progress rootfs.sqfs <$TAR\necho Bootstrap: docker >recipe\nsiftool new x.sif\n\
         siftool add --datatype 1 x.sif recipe\n\
         siftool add --datatype 4 --parttype 2 --partfs 1 --partarch 2 x.sif rootfs.sqfs",
    );
    env.project().join("x.sif")
}

fn a_singularity_image_runs(env: &TestEnvironment) {
    sif(env);
    assert_runs(env, "sif:x.sif");
    // Without a command it does what `singularity run` does.
    sh(
        env,
        "mkdir -p tree/.singularity.d tree/bin && cp /bin/busybox tree/bin/ && ln -s busybox tree/bin/sh\n\
         printf '#!/bin/sh\\necho the runscript\\n' >tree/.singularity.d/runscript\nchmod +x tree/.singularity.d/runscript\n\
         mksquashfs tree own.sqfs -quiet -no-progress -all-root\nsiftool new own.sif\n\
         siftool add --datatype 4 --parttype 2 --partfs 1 --partarch 2 own.sif own.sqfs",
    );
    let _ = agent(env, &["run", "sif:own.sif"])
        .expect(0)
        .says("the runscript");
}

fn a_sif_without_a_system_is_refused(env: &TestEnvironment) {
    let path = sif(env);
    let whole = fs::read(&path).expect("read the image");
    sh(env, "siftool new empty.sif");
    let empty = fs::read(env.project().join("empty.sif")).expect("read the image");
    // The descriptor of the partition is the second one; its file system stands at 201 in it.
    let second = 4096 + 585;
    let changed = |at: usize, value: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    for (bytes, why) in [
        (b"no image".to_vec(), "is no SIF image, or ends too early"),
        (vec![0; 4096], "is no SIF image"),
        (empty, "has no squashfs with a root file system"),
        (whole[..4200].to_vec(), "is no SIF image, or ends too early"),
        (whole[..whole.len() - 5000].to_vec(), "ends too early"),
        (changed(second + 201, &[5]), "is encrypted"),
        (changed(second + 201, &[2]), "has no squashfs"),
        (changed(second + 17, &[255; 8]), "has a damaged SIF header"),
        (changed(88, &[255; 7]), "has a damaged SIF header"),
        (changed(96, &[255; 7]), "SIF"),
        (changed(second + 17, &[1, 0]), "squashfs image is damaged"),
    ] {
        env.write("project/bad.sif", bytes);
        let done = agent(env, &["pull", "sif:bad.sif"]).does_not_say("panicked");
        let _ = done.expect(1).says(why);
    }
}

/// As the appc specification has it; nobody makes them any more.
fn an_aci_runs_as_its_manifest_says(env: &TestEnvironment) {
    let manifest = r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/box",
        "labels":[{"name":"os","value":"linux"},{"name":"arch","value":"amd64"}],
        "app":{"exec":["/bin/sh","-c","echo $GREETING; pwd; id -u"],"user":"1000","group":"1000","workingDirectory":"/srv/work",
        "environment":[{"name":"GREETING","value":"hello"}]}}"#;
    env.write("project/manifest", manifest);
    sh(
        env,
        "mkdir rootfs && tar -xf $TAR -C rootfs --no-same-owner\n\
         tar -cf box.aci manifest rootfs && gzip -k box.aci && mv box.aci.gz packed.aci && xz -k box.aci && mv box.aci.xz small.aci",
    );
    for file in ["box.aci", "packed.aci", "small.aci"] {
        let done = agent(env, &["run", "--user", "0", &format!("aci:{file}")]).expect(0);
        assert_eq!(done.output(), "hello\n/srv/work\n0\n", "{file}");
    }
    for (text, why) in [
        ("{", "is not valid"),
        (r#"{"acKind":"PodManifest"}"#, "is no image of appc's"),
        (
            r#"{"acKind":"ImageManifest","dependencies":[{"imageName":"a"}]}"#,
            "depends on other images",
        ),
    ] {
        env.write("project/manifest", text);
        sh(env, "tar -cf bad.aci manifest rootfs/etc");
        let _ = agent(env, &["pull", "aci:bad.aci"]).expect(1).says(why);
    }
    sh(env, "tar -cf bad.aci rootfs/etc");
    let _ = agent(env, &["pull", "aci:bad.aci"])
        .expect(1)
        .says("holds no `manifest`");
}

fn lxc_images_run(env: &TestEnvironment) {
    // What `lxc-create` downloads: a root file system.
    assert_runs(
        env,
        &format!("lxc:{}", images::path("busybox.tar.xz").display()),
    );
    sh(
        env,
        "sqfstar -quiet -no-progress -comp xz rootfs.squashfs <$TAR",
    );
    assert_runs(env, "lxc:rootfs.squashfs");
    // And LXD's unified image, as distrobuilder packs it.
    env.write(
        "project/metadata.yaml",
        "architecture: x86_64\ncreation_date: 1700000000\n",
    );
    sh(
        env,
        "mkdir templates rootfs rootfs/bin rootfs/etc && echo '{{ container.name }}' >templates/hostname.tpl\n\
         cp /bin/busybox rootfs/bin/ && ln rootfs/bin/busybox rootfs/bin/hard && ln -s busybox rootfs/bin/sh\n\
         tar -cJf unified.tar.xz metadata.yaml templates rootfs",
    );
    let words = [
        "run",
        "lxc:unified.tar.xz",
        "/bin/sh",
        "-c",
        "/bin/busybox ls -R /bin; /bin/busybox stat -c %h /bin/hard",
    ];
    let done = agent(env, &words).expect(0);
    assert_eq!(done.output(), "/bin:\nbusybox\nhard\nsh\n2\n");
    let _ = agent(
        env,
        &["run", "lxc:unified.tar.xz", "/bin/busybox", "ls", "/"],
    )
    .expect(0)
    .does_not_say("metadata");
    let _ = agent(env, &["image", "verify", "lxc:unified.tar.xz"]).expect(0);
}

fn such_an_image_can_be_saved(env: &TestEnvironment) {
    sif(env);
    let _ = agent(env, &["pull", "sif:x.sif"]).expect(0);
    let _ = agent(env, &["image", "tag", "sif:x.sif", "from/sif:1"]).expect(0);
    let _ = agent(env, &["image", "save", "-o", "saved.tar", "from/sif:1"]).expect(0);
    let _ = agent(env, &["image", "prune", "--all"]).expect(0);
    let _ = agent(env, &["image", "load", "-i", "saved.tar"]).expect(0);
    assert_runs(env, "from/sif:1");
}
