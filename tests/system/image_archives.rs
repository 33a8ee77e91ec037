//! Images that go to other engines, and come from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Docker, TestEnvironment, for_everyone, for_one_user, for_root, images};
use serde_json::Value;

use crate::door_containers::agent;
use crate::support::must;

for_everyone!(
    a_saved_image_is_the_same_to_podman,
    a_saved_image_comes_back_whole,
);

for_one_user!(
    skopeo_reads_what_is_saved,
    archives_of_other_engines_are_loaded,
    an_archive_comes_by_standard_input,
    several_images_go_into_one_archive,
    an_archive_that_is_none_is_refused,
    a_damaged_image_is_not_saved,
    a_layer_that_replaces_its_own_files_is_saved_as_it_is,
    commands_are_where_docker_has_them,
);

for_root!(a_saved_image_is_the_same_to_docker);

const NAME: &str = "localhost/tree:whiteouts";

/// Pulls the image of many layers and gives it the name that podman knew it by.
fn tree(env: &TestEnvironment) {
    let reference = format!("oci:{}", images::path("tree:latest").display());
    let _ = agent(env, &["pull", &reference]).expect(0);
    let _ = agent(env, &["image", "tag", &reference, NAME]).expect(0);
}

fn save(env: &TestEnvironment, words: &[&str], file: &str) -> PathBuf {
    let path = env.root().join("project").join(file);
    let output = path.display().to_string();
    let _ = agent(env, &[&["image", "save", "-o", &output], words].concat()).expect(0);
    path
}

fn id(env: &TestEnvironment, name: &str) -> String {
    let text = agent(env, &["image", "inspect", name]).expect(0).output();
    let list: Value = serde_json::from_str(&text).expect("JSON");
    list[0]["id"].as_str().unwrap_or_default().to_owned()
}

/// podman with storage of the test's own.
fn podman(env: &TestEnvironment) -> Command {
    let storage = env.root().join("podman");
    let mut podman = Command::new("podman");
    podman
        .args(["--storage-driver", "vfs", "--root"])
        .arg(storage.join("root"))
        .arg("--runroot")
        .arg(storage.join("run"));
    podman
}

fn policy(env: &TestEnvironment) -> PathBuf {
    env.write(
        "policy.json",
        r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
    );
    env.root().join("policy.json")
}

/// Owners, devices and everything else come back also where the store could not keep them.
fn a_saved_image_is_the_same_to_podman(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    tree(env);
    let policy = policy(env);
    for format in ["docker-archive", "oci-archive"] {
        let saved = save(env, &["--format", format, NAME], "saved.tar");
        must(
            podman(env)
                .args(["load", "--quiet", "--signature-policy"])
                .arg(&policy)
                .arg("-i")
                .arg(&saved),
        );
        let theirs = must(podman(env).args(["image", "inspect", "--format", "{{.Id}}", NAME]));
        assert_eq!(
            format!("sha256:{}", theirs.trim()),
            id(env, NAME),
            "{format}"
        );
        let root = must(podman(env).args(["image", "mount", NAME]));
        let script = fs::File::open(images::path("list-tree")).expect("open the listing's script");
        let listing = must(
            Command::new("chroot")
                .args([root.trim(), "/bin/sh"])
                .stdin(script),
        );
        let expected = fs::read_to_string(images::path("tree.podman")).expect("read podman's");
        assert!(listing == expected, "{}", difference(&expected, &listing));
        must(podman(env).args(["image", "unmount", NAME]));
        must(podman(env).args(["image", "rm", NAME]));
    }
}

/// Docker's own daemon takes it, too, and runs it.
fn a_saved_image_is_the_same_to_docker(env: &TestEnvironment) {
    tree(env);
    let saved = save(env, &[NAME], "saved.tar");
    let directory = env.root().join("docker");
    let docker = Docker::start(&directory, "vfs")
        .unwrap_or_else(|said| panic!("dockerd does not start: {said}"));
    let loaded = must(docker.client().args(["load", "--quiet", "-i"]).arg(&saved));
    assert_eq!(loaded.trim(), format!("Loaded image: {NAME}"));
    let theirs = must(
        docker
            .client()
            .args(["image", "inspect", "--format", "{{.Id}}", NAME]),
    );
    assert_eq!(theirs.trim(), id(env, NAME));
    let listing = fs::read_to_string(images::path("list-tree")).expect("read the listing's script");
    let run = [
        "run",
        "--rm",
        "--network",
        "none",
        NAME,
        "/bin/sh",
        "-c",
        &listing,
    ];
    let listing = must(docker.client().args(run));
    let expected = fs::read_to_string(images::path("tree.podman")).expect("read podman's");
    assert!(listing == expected, "{}", difference(&expected, &listing));
    drop(docker);
    fs::remove_dir_all(directory).expect("remove what Docker stored");
}

fn difference(expected: &str, found: &str) -> String {
    let lines = |text: &str, other: &str, sign: &str| {
        text.lines()
            .filter(|line| !other.lines().any(|known| known == *line))
            .map(|line| format!("{sign} {line}\n"))
            .collect::<String>()
    };
    lines(expected, found, "-") + &lines(found, expected, "+")
}

fn a_saved_image_comes_back_whole(env: &TestEnvironment) {
    tree(env);
    let before = id(env, NAME);
    let saved = save(env, &[NAME], "saved.tar");
    let _ = agent(env, &["image", "prune", "--all"]).expect(0);
    let _ = agent(env, &["image", "load", "-i", &saved.display().to_string()])
        .expect(0)
        .says(NAME);
    assert_eq!(id(env, NAME), before);
    let _ = agent(env, &["image", "verify"]).expect(0).says("ok: ");
    let _ = agent(env, &["run", NAME, "cat", "/tree/below/listed/stays"])
        .expect(0)
        .says("3");
}

fn skopeo_reads_what_is_saved(env: &TestEnvironment) {
    let image = images::busybox();
    let _ = agent(env, &["pull", &image]).expect(0);
    let _ = agent(env, &["image", "tag", &image, "box:1"]).expect(0);
    let policy = policy(env);
    let (docker, oci) = (
        save(env, &["box:1"], "docker.tar"),
        save(env, &["--format", "oci-archive", "box:1"], "oci.tar"),
    );
    for (number, from) in [
        format!(
            "docker-archive:{}:docker.io/library/box:1",
            docker.display()
        ),
        format!("docker-archive:{}", docker.display()),
        format!("oci-archive:{}", oci.display()),
    ]
    .iter()
    .enumerate()
    {
        let to = env.root().join(format!("copy-{number}"));
        must(Command::new("skopeo").arg("--policy").arg(&policy).args([
            "copy",
            from,
            &format!("dir:{}", to.display()),
        ]));
        let manifest = fs::read_to_string(to.join("manifest.json")).expect("read the manifest");
        let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
        assert_eq!(
            manifest["config"]["digest"],
            id(env, "box:1").as_str(),
            "{from}"
        );
    }
}

fn archives_of_other_engines_are_loaded(env: &TestEnvironment) {
    let load = |file: &Path, words: &[&str]| {
        let path = file.display().to_string();
        agent(
            env,
            &[&["image", "load", "-q", "-i", &path], words].concat(),
        )
    };
    for (file, words, name) in [
        ("podman.docker.tar", &[][..], "localhost/tree:latest"),
        ("podman.oci.tar", &[], "localhost/tree:latest"),
        ("skopeo.docker.tar", &[], "docker.io/library/busybox:latest"),
        (
            "skopeo.oci.tar",
            &["--tag", "own:2"],
            "docker.io/library/own:2",
        ),
    ] {
        let done = load(&images::path(file), words).expect(0);
        assert_eq!(done.output(), format!("{name}\n"), "{file}");
        let words = ["run", "--entrypoint", "/bin/echo", name, "it runs"];
        let _ = agent(env, &words).expect(0).says("it runs");
        let _ = agent(env, &["image", "verify", name]).expect(0);
        let _ = agent(env, &["image", "rm", name]).expect(0);
    }
    let _ = load(&images::path("skopeo.oci.tar"), &[])
        .expect(1)
        .says("holds an image without a name")
        .says("--tag");
}

fn an_archive_comes_by_standard_input(env: &TestEnvironment) {
    let bytes = fs::read(images::path("podman.docker.tar")).expect("read an archive");
    let done = env
        .agent(["image", "load", "--format", "json"])
        .stdin(bytes)
        .run();
    let list: Value = serde_json::from_str(&done.expect(0).output()).expect("JSON");
    assert_eq!(list[0]["name"], "localhost/tree:latest");
    // And goes by standard output.
    let saved = agent(env, &["image", "save", "localhost/tree"]).expect(0);
    let _ = agent(env, &["image", "prune", "--all"]).expect(0);
    let again = env.agent(["image", "load"]).stdin(saved.stdout()).run();
    let _ = again.expect(0).says("localhost/tree:latest");
}

fn several_images_go_into_one_archive(env: &TestEnvironment) {
    tree(env);
    let image = images::busybox();
    let _ = agent(env, &["pull", &image]).expect(0);
    for name in ["one:1", "two:2"] {
        let _ = agent(env, &["image", "tag", &image, name]).expect(0);
    }
    let saved = save(env, &["one:1", "two:2", NAME], "all.tar");
    let _ = agent(env, &["image", "prune", "--all"]).expect(0);
    let done = agent(env, &["image", "load", "-i", &saved.display().to_string()]).expect(0);
    let mut names: Vec<String> = done.output().lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(
        names,
        ["docker.io/library/one:1", "docker.io/library/two:2", NAME]
    );
    let _ = agent(
        env,
        &[
            "image",
            "load",
            "-i",
            &saved.display().to_string(),
            "--tag",
            "x",
        ],
    )
    .expect(1)
    .says("several images");
}

fn an_archive_that_is_none_is_refused(env: &TestEnvironment) {
    for (bytes, why) in [
        (b"no archive".to_vec(), "it ends too early"),
        (vec![7; 2048], "checksum is wrong"),
        (vec![0; 2048], "holds no `index.json`"),
        (Vec::new(), "holds no `index.json`"),
    ] {
        let done = env.agent(["image", "load"]).stdin(bytes).run();
        assert_ne!(done.code(), 0);
        let _ = done
            .says(why)
            .says("standard input")
            .does_not_say("panicked");
    }
    let _ = agent(env, &["image", "load", "-i", "missing.tar"])
        .expect(1)
        .says("missing.tar");
    let _ = agent(env, &["image", "save", "missing"])
        .expect(1)
        .says("there is no image `missing` here");
}

fn a_damaged_image_is_not_saved(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        return;
    }
    tree(env);
    let maps = fs::read_dir(env.data().join("rootfs")).expect("list the data directory");
    let victim = maps
        .flatten()
        .flat_map(|map| fs::read_dir(map.path().join("layers")).expect("list layers"))
        .flatten()
        .map(|layer| layer.path().join("etc/group"))
        .find(|path| path.exists())
        .expect("a layer has /etc/group");
    let text = fs::read_to_string(&victim).expect("read a file of a layer");
    fs::write(&victim, text.replace("staff", "stuff")).expect("damage a layer");
    let output = env.root().join("project/saved.tar").display().to_string();
    let _ = agent(env, &["image", "save", "-o", &output, NAME])
        .expect(1)
        .says("is damaged: its content has the diff ID")
        .says("--repair");
    assert!(!Path::new(&output).exists());
    fs::remove_file(&victim).expect("damage it more");
    let _ = agent(env, &["image", "save", "-o", &output, NAME])
        .expect(1)
        .says("`etc/group` of the layer is missing");
}

/// Its archive has a content that is nowhere on the disk, so that it cannot come back as it was.
fn a_layer_that_replaces_its_own_files_is_saved_as_it_is(env: &TestEnvironment) {
    let path = env.root().join("project/twice.tar").display().to_string();
    fs::copy(images::path("busybox.tar"), &path).expect("copy an archive");
    env.write("project/etc/group", "root:x:0:\nnew:x:7:\n");
    let mut tar = Command::new("tar");
    must(
        tar.args(["-rf", &path, "--owner=0", "--group=0", "-C"])
            .arg(env.project())
            .arg("./etc/group"),
    );
    let _ = agent(env, &["pull", &format!("tar:{path}")]).expect(0);
    let _ = agent(env, &["image", "tag", &format!("tar:{path}"), "twice:1"]).expect(0);
    let _ = agent(env, &["image", "verify", "twice:1"])
        .expect(0)
        .says("1 that cannot be proven");
    let output = env.root().join("project/saved.tar").display().to_string();
    let _ = agent(env, &["image", "save", "-o", &output, "twice:1"])
        .expect(0)
        .says("warning: 1 layers are packed from their files");
    let _ = agent(env, &["image", "prune", "--all"]).expect(0);
    let _ = agent(env, &["image", "load", "-i", &output]).expect(0);
    let _ = agent(env, &["image", "verify", "twice:1"])
        .expect(0)
        .does_not_say("cannot be proven");
    let words = [
        "run",
        "twice:1",
        "sh",
        "-c",
        "cat /etc/group; stat -c '%a %u:%g' /tmp /home/app",
    ];
    let done = agent(env, &words).expect(0);
    assert_eq!(
        done.output(),
        "root:x:0:\nnew:x:7:\n1777 0:0\n755 1000:1000\n"
    );
}

fn commands_are_where_docker_has_them(env: &TestEnvironment) {
    let image = images::busybox();
    let _ = agent(env, &["pull", &image]).expect(0);
    let _ = agent(env, &["tag", &image, "box:1"]).expect(0);
    let _ = agent(env, &["save", "-o", "box.tar", "box:1"]).expect(0);
    let _ = agent(env, &["rmi", "box:1"]).expect(0);
    let _ = agent(env, &["load", "-i", "box.tar"])
        .expect(0)
        .says("box:1");
    let _ = agent(env, &["images", "-a"]).expect(0).says("box:1");
    let _ = agent(env, &["image", "prune", "-a", "-f"]).expect(0);
}
