//! What the store holds and what becomes of it: listed, named, removed, collected; never what somebody uses.

use std::fs;
use std::path::PathBuf;

use harness::{Registry, TestEnvironment, for_everyone, for_one_user, images};
use serde_json::Value;

use crate::door_containers::{agent, start, stop};

for_everyone!(
    what_a_container_uses_stays_until_it_is_over,
    a_store_is_pruned_while_others_use_it,
    a_damaged_image_is_found_and_pulled_anew,
);

for_one_user!(
    images_are_listed_with_what_they_share,
    a_further_name_needs_no_registry,
    an_image_is_known_by_its_id,
    removing_a_name_removes_what_nothing_else_needs,
    old_and_large_stores_are_pruned,
    remains_of_killed_pulls_are_counted_and_removed,
    a_configured_store_prunes_itself,
);

fn tree() -> String {
    format!("oci:{}", images::path("tree:latest").display())
}

fn json(env: &TestEnvironment, words: &[&str]) -> Value {
    let text = agent(env, words).expect(0).output();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn names(env: &TestEnvironment) -> Vec<String> {
    let list = json(env, &["images", "--format", "json"]);
    let list = list.as_array().expect("a list");
    let mut names: Vec<String> = list
        .iter()
        .filter_map(|image| Some(image["name"].as_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The directories of layers.
fn layers(env: &TestEnvironment) -> Vec<PathBuf> {
    let maps = fs::read_dir(env.data().join("rootfs")).expect("list the data directory");
    maps.flatten()
        .flat_map(|map| fs::read_dir(map.path().join("layers")).expect("list layers"))
        .flatten()
        .map(|layer| layer.path())
        .filter(|path| path.is_dir())
        .collect()
}

fn pull(env: &TestEnvironment, image: &str) {
    let _ = agent(env, &["pull", image]).expect(0);
}

fn what_a_container_uses_stays_until_it_is_over(env: &TestEnvironment) {
    start(env, &["--name", "busy", &images::plain(), "sleep", "1000"]);
    pull(env, &tree());
    let before = layers(env).len();
    let _ = agent(env, &["image", "prune", "--all"])
        .expect(0)
        .says("untagged: oci:")
        .does_not_say("busybox.tar");
    assert!(layers(env).len() < before);
    let _ = agent(env, &["image", "rm", &images::plain()])
        .expect(0)
        .says("1 layers are in use");
    // Nothing of it was looked at before.
    let _ = agent(
        env,
        &[
            "exec",
            "busy",
            "sh",
            "-c",
            "cat /etc/passwd /bin/busybox | wc -c; ls /",
        ],
    )
    .expect(0)
    .says("root");
    stop(env, "busy");
    let _ = agent(env, &["image", "prune"])
        .expect(0)
        .says("deleted: sha256:");
    assert_eq!(layers(env), Vec::<PathBuf>::new());
    assert_eq!(names(env), [""; 0]);
}

/// Every one of them finds its image, whether it is there, gone, or on its way out.
fn a_store_is_pruned_while_others_use_it(env: &TestEnvironment) {
    let registry = Registry::start();
    let one = registry.push(&images::busybox(), "team/one");
    let two = registry.push(&tree(), "team/two");
    for _ in 0..12 {
        let run = |image: &str| {
            let words = [
                "run",
                "--rm",
                "--entrypoint",
                "/bin/cat",
                image,
                "/bin/busybox",
                "/etc/passwd",
            ];
            env.agent(words).spawn()
        };
        let prune = || env.agent(["image", "prune", "--all"]).spawn();
        let all = [run(&one), prune(), run(&two), prune(), run(&one)];
        for running in all {
            let done = running.finish().expect(0);
            assert_eq!(done.errors().matches("warning").count(), 0, "{done}");
        }
    }
    let _ = agent(env, &["image", "prune", "--all"]).expect(0);
    assert_eq!(layers(env), Vec::<PathBuf>::new());
    let _ = agent(env, &["image", "verify"]).expect(0);
}

fn a_damaged_image_is_found_and_pulled_anew(env: &TestEnvironment) {
    let image = tree();
    pull(env, &image);
    let _ = agent(env, &["image", "verify"])
        .expect(0)
        .says("ok: oci:")
        .does_not_say("cannot be proven");
    let whole = json(env, &["image", "verify", "--format", "json"]);
    assert_eq!(whole[0]["layers_proven"], whole[0]["layers"]);
    // Another content of the same length, at the same time.
    let victim = layers(env)
        .into_iter()
        .map(|layer| layer.join("etc/group"))
        .find(|path| path.exists());
    if env.is_set_up_by_root() {
        let victim = victim.expect("a layer has /etc/group");
        let time = victim.metadata().and_then(|found| found.modified());
        let text = fs::read_to_string(&victim).expect("read a file of a layer");
        fs::write(&victim, text.replace("staff", "stuff")).expect("damage a layer");
        let file = fs::File::options().write(true).open(&victim);
        file.and_then(|file| file.set_modified(time?))
            .expect("hide the damage");
        let _ = agent(env, &["image", "verify"])
            .expect(1)
            .says("has the diff ID sha256:")
            .says("--repair");
        let _ = agent(env, &["image", "verify", "--repair"])
            .expect(1)
            .says("1 of 1 damaged layers removed");
        let _ = agent(env, &["images"]).expect(0).says("(not whole)");
        pull(env, &image);
        let _ = agent(env, &["image", "verify", &image])
            .expect(0)
            .says("ok: ");
    }
}

fn images_are_listed_with_what_they_share(env: &TestEnvironment) {
    assert_eq!(
        agent(env, &["images"]).expect(0).output(),
        "NAME  ID  LAYERS  USED  SIZE  OWN\n"
    );
    let registry = Registry::start();
    let one = registry.push(&images::busybox(), "team/one");
    let two = registry.push(&tree(), "team/two");
    pull(env, &one);
    pull(env, &two);
    let list = json(env, &["image", "ls", "--format", "json"]);
    let list = list.as_array().expect("a list");
    assert_eq!(list.len(), 2);
    // The last used comes first.
    assert_eq!(list[0]["name"], two.as_str());
    assert_eq!(list[0]["complete"], true);
    assert!(list[0]["id"].as_str().is_some_and(|id| id.len() == 71));
    assert!(list[0]["created"].is_string());
    assert!(list[0]["digest"].is_string());
    assert!(list[0]["size"].as_u64() > Some(100_000));
    assert_eq!(list[0]["own"], list[0]["size"]);
    let ids = agent(env, &["images", "-q"]).expect(0).output();
    assert_eq!(ids.lines().map(str::len).collect::<Vec<_>>(), [12, 12]);
    let _ = agent(env, &["images", "one"])
        .expect(0)
        .says(&one)
        .does_not_say(&two);
    let df = json(env, &["df", "--format", "json"]);
    assert_eq!(df[0]["kind"], "images");
    assert_eq!(
        (df[0]["count"].as_u64(), df[0]["in_use"].as_u64()),
        (Some(2), Some(0))
    );
    // What images take is counted once: as their layers.
    assert!(df[0]["size"].is_null() && df[0]["reclaimable"].is_null());
    assert_eq!(df[1]["kind"], "layers");
    assert!(df[1]["size"].as_u64() > Some(100_000));
    assert_eq!(df[1]["reclaimable"], df[1]["size"]);
    let _ = agent(env, &["df"]).expect(0).says("RECLAIMABLE");
    // What it was made of has all but the topmost layer.
    let below = format!("oci-archive:{}", images::path("podman.oci.tar").display());
    pull(env, &below);
    let list = json(env, &["images", "--format", "json"]);
    let sizes = |name: &str| {
        let image = list
            .as_array()?
            .iter()
            .find(|image| image["name"] == name)?;
        Some((image["size"].as_u64()?, image["own"].as_u64()?))
    };
    let (all, own) = sizes(&two).expect("sizes");
    assert_eq!(sizes(&below), Some((all - own, 0)), "{list}");
    assert!(own > 0, "{list}");
    let removed = json(env, &["image", "rm", "--format", "json", &two]);
    assert_eq!(removed["images"][0], two.as_str(), "{removed}");
}

fn a_further_name_needs_no_registry(env: &TestEnvironment) {
    let image = images::busybox();
    pull(env, &image);
    let _ = agent(env, &["image", "tag", &image, "own/name:1"]).expect(0);
    // There is no such registry, and nobody asks it.
    let _ = agent(
        env,
        &["run", "--entrypoint", "echo", "own/name:1", "it runs"],
    )
    .expect(0)
    .says("it runs")
    .does_not_say("warning");
    assert_eq!(names(env), ["docker.io/own/name:1", image.as_str()]);
    let tagged = json(
        env,
        &["image", "tag", "--format", "json", &image, "own/name:1"],
    );
    let ids = agent(env, &["images", "-q"]).expect(0).output();
    assert_eq!(tagged["name"], "docker.io/own/name:1");
    assert!(
        tagged["id"]
            .as_str()
            .is_some_and(|id| id.contains(ids.lines().next().unwrap_or("?"))),
        "{tagged} {ids}"
    );
    let words = ["image", "save", "--json", "-o", "own.tar", "own/name:1"];
    let saved = json(env, &words);
    assert_eq!(
        (&saved["images"], &saved["repacked"]),
        (&1.into(), &0.into())
    );
    let length = fs::metadata(env.project().join("own.tar"))
        .expect("an archive")
        .len();
    assert!(
        saved["bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0 && bytes < length),
        "{saved}"
    );
    let inspected = json(env, &["image", "inspect", "own/name:1"]);
    assert_eq!(inspected[0]["local"], true);
    assert_eq!(inspected[0]["names"].as_array().map(Vec::len), Some(2));
    assert_eq!(inspected[0]["config"]["config"]["User"], "app");
    let _ = agent(env, &["image", "tag", "nothing/here", "a"])
        .expect(1)
        .says("there is no image `nothing/here` here")
        .says("agent pull");
    let _ = agent(env, &["image", "tag", "own/name:1", "tar:x"])
        .expect(2)
        .says("`tar:x` cannot be an image's name");
}

fn an_image_is_known_by_its_id(env: &TestEnvironment) {
    let image = images::busybox();
    pull(env, &image);
    let id = agent(env, &["images", "-q"]).expect(0).output();
    let id = id.trim();
    let inspected = json(env, &["image", "inspect", id]);
    assert_eq!(inspected[0]["name"], image.as_str());
    assert_eq!(
        json(env, &["image", "inspect", &format!("sha256:{id}")]),
        inspected
    );
    let _ = agent(env, &["image", "inspect", "abc"]).expect(1);
    let _ = agent(env, &["image", "tag", id, "a:1"]).expect(0);
    let _ = agent(env, &["rmi", id])
        .expect(1)
        .says("has several names")
        .says("--force");
    let _ = agent(env, &["rmi", "-f", id]).expect(0);
    assert_eq!(names(env), [""; 0]);
    let _ = agent(env, &["rmi", "-f", "not/here"]).expect(0);
}

fn removing_a_name_removes_what_nothing_else_needs(env: &TestEnvironment) {
    let image = images::busybox();
    pull(env, &image);
    let _ = agent(env, &["image", "tag", &image, "second"]).expect(0);
    let kept = layers(env);
    let removed = agent(env, &["image", "rm", &image]).expect(0);
    assert_eq!(removed.output(), format!("untagged: {image}\nfreed 0 B\n"));
    assert_eq!(layers(env), kept);
    let _ = agent(env, &["image", "rm", "second"])
        .expect(0)
        .says("untagged: docker.io/library/second:latest")
        .says("deleted: sha256:");
    assert_eq!(layers(env), Vec::<PathBuf>::new());
    let _ = agent(env, &["image", "rm", "second"]).expect(1);
}

fn old_and_large_stores_are_pruned(env: &TestEnvironment) {
    pull(env, &images::busybox());
    pull(env, &tree());
    let all = names(env);
    let prune = |words: &[&str]| agent(env, &[&["image", "prune"], words].concat()).expect(0);
    let _ = prune(&["--older-than", "1h"]).says("freed 0 B");
    let _ = prune(&["--max-size", "1GiB"]).says("freed 0 B");
    let _ = prune(&["--all", "--dry-run"]).says("would free");
    assert_eq!(names(env), all);
    // The one used longest ago goes.
    let size = |name: &str| {
        let list = json(env, &["images", "--format", "json"]);
        let found = list.as_array().and_then(|list| {
            let image = list.iter().find(|image| image["name"] == name)?;
            image["size"].as_u64()
        });
        found.expect("the image has a size")
    };
    let room = format!("{}KiB", size(&tree()).div_ceil(1024));
    let _ = prune(&["--max-size", &room]).says(&format!("untagged: {}", images::busybox()));
    assert_eq!(names(env), [tree()]);
    let done = prune(&["--older-than", "0s", "--format", "json"]);
    let done: Value = serde_json::from_str(&done.output()).expect("JSON");
    assert_eq!(done["images"][0], tree().as_str());
    assert_eq!(layers(env), Vec::<PathBuf>::new());
    let _ = agent(env, &["image", "prune", "--max-size", "much"])
        .expect(2)
        .says("not a size");
}

fn remains_of_killed_pulls_are_counted_and_removed(env: &TestEnvironment) {
    pull(env, &images::busybox());
    let layer = layers(env).pop().expect("a layer");
    let hex = layer
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let left = layer.with_file_name(format!("{}.0123.tmp", hex.replace(|_| true, "a")));
    fs::create_dir(&left).expect("leave something");
    let _ = agent(env, &["df"])
        .expect(0)
        .says("1 remains of killed pulls");
    let _ = agent(env, &["image", "prune"]).expect(0);
    assert!(!left.exists());
    let _ = agent(env, &["df"]).expect(0).does_not_say("remains");
    let _ = agent(env, &["image", "verify"]).expect(0);
}

fn a_configured_store_prunes_itself(env: &TestEnvironment) {
    pull(env, &images::busybox());
    env.write("config.yml", "images: { max_size: 1KiB }\n");
    pull(env, &tree());
    // What was pulled now is in use as long as the pull runs.
    assert_eq!(names(env), [tree()]);
    env.write("config.yml", "images: { max_size: lots }\n");
    let _ = agent(env, &["pull", &tree()])
        .expect(2)
        .says("\"lots\" is not a size such as 512MiB");
}
