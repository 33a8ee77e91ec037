//! What jobs keep for later ones: found again by `run-local`, and never in anybody's way. See `service::caches` for a server's.

use std::fs;
use std::path::{Path, PathBuf};

use harness::wait::{PATIENCE, until};
use harness::{TestEnvironment, for_everyone, for_one_user, for_root, images};
use rustix::process::Signal;

use crate::support::{clean, run_local};

for_everyone!(
    a_job_finds_what_an_earlier_one_has_kept,
    directories_of_a_job_are_the_same_for_all_of_its_steps,
    what_holds_a_secret_is_not_kept,
    a_hostile_archive_reaches_nothing_and_the_job_goes_on,
);

for_one_user!(
    only_a_success_keeps_anything_and_the_first_stays,
    keys_are_found_by_their_beginnings_and_by_cell,
    paths_that_lead_elsewhere_are_refused_with_their_place,
    the_store_is_bounded_shown_and_emptied,
    nothing_of_a_killed_run_is_ever_found,
);

for_root!(a_full_disk_is_a_warning,);

/// A pipeline of one job, `main`, with these caches and a step of each script.
fn pipeline(env: &TestEnvironment, image: &str, caches: &str, scripts: &[&str]) {
    let steps: String = scripts
        .iter()
        .enumerate()
        .map(|(number, script)| {
            let script = serde_json::to_string(script).expect("text");
            format!("      - {{ name: s{number}, run: {script} }}\n")
        })
        .collect();
    env.pipeline(&format!(
        "image: \"{image}\"\njobs:\n  main:\n    cache: {caches}\n    steps:\n{steps}"
    ));
}

fn blobs(env: &TestEnvironment) -> Vec<PathBuf> {
    files(&env.data().join("caches/blobs"))
}

pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn a_job_finds_what_an_earlier_one_has_kept(env: &TestEnvironment) {
    let cache = "[{ key: \"deps-${{ hash_files('lock') }}\", fallback: [deps-], paths: [target, ~/.tool] }]";
    let script = "cat target/deep/x ~/.tool/y 2>/dev/null || echo nothing; \
                  mkdir -p target/deep; echo built > target/deep/x; ln -sf deep/x target/link; \
                  printf '#!/bin/sh\\n' > target/run; chmod 755 target/run; touch -d '2001-02-03 04:05:06.789' target/run; \
                  ln -f target/deep/x target/again; echo tool > ~/.tool/y";
    pipeline(env, "host", cache, &[script]);
    env.write("project/lock", "1");
    let done = run_local(env, &[]).expect(0);
    let _ = done
        .says("=== main / cache deps-")
        .says(": there is none yet")
        .says("\nnothing\n")
        .says(": saved: ");
    let script = "cat target/deep/x ~/.tool/y; readlink target/link; stat -c '%a %Y %y %U' target/run; \
                  stat -c %h target/again; echo more > target/more";
    pipeline(env, "host", cache, &[script]);
    let done = run_local(env, &[]).expect(0);
    let _ = done
        .says(": restored: ")
        .says("\nbuilt\ntool\ndeep/x\n755 981173106 2001-02-03 04:05:06.789")
        .says(" root\n2\n")
        .does_not_say(": saved");
    assert!(
        !env.project().join("target").exists(),
        "the tree is not touched"
    );
    // Another key, and what it begins with.
    env.write("project/lock", "2");
    let done = run_local(env, &[]).expect(0);
    let _ = done
        .says(": restored from deps-")
        .says("\nbuilt\n")
        .says(": saved: ");
    assert_eq!(blobs(env).len(), 2);
    // Paths that are others are another cache.
    pipeline(
        env,
        "host",
        "[{ key: \"deps-${{ hash_files('lock') }}\", paths: [target] }]",
        &["true"],
    );
    let _ = run_local(env, &[]).expect(0).says("there is none yet");
}

fn directories_of_a_job_are_the_same_for_all_of_its_steps(env: &TestEnvironment) {
    let cache = "[{ key: a, paths: [~/.cargo, ~/.cargo/registry, /opt/tools, /var/cache/apt] }]";
    let write = "echo one > ~/.cargo/registry/crate; echo two > /opt/tools/t; echo three > /var/cache/apt/a; echo lost > ~/other";
    let read = "cat ~/.cargo/registry/crate /opt/tools/t /var/cache/apt/a; ls ~/other 2>/dev/null || echo fresh";
    pipeline(env, &images::busybox(), cache, &[write, read]);
    let _ = run_local(env, &[])
        .expect(0)
        .says("\none\ntwo\nthree\nfresh\n");
    pipeline(env, &images::busybox(), cache, &[read]);
    let done = run_local(env, &[]).expect(0);
    let _ = done.says(": restored: ").says("\none\ntwo\nthree\nfresh\n");
    // Above what is kept there is room for more: a home is its user's.
    let beside = "stat -c %U ~/.cache; mkdir ~/.cache/other && echo beside > ~/.cache/other/x && cat ~/.cache/other/x";
    pipeline(
        env,
        &images::busybox(),
        "[{ key: c, paths: [~/.cache/pip] }]",
        &[beside],
    );
    let _ = run_local(env, &[]).expect(0).says("\napp\nbeside\n");
    // Whoever the steps are, and wherever they say that they live.
    env.pipeline(&format!(
        "image: \"{}\"\njobs:\n  main:\n    cache: [{{ key: b, paths: [~/.tool] }}]\n    steps:\n      \
         - {{ name: own, user: \"1000\", env: {{ HOME: /somewhere }}, run: 'echo mine > ~/.tool/x; stat -c %u ~/.tool/x; pwd -P' }}\n      \
         - {{ name: again, user: \"1000\", env: {{ HOME: /elsewhere }}, run: 'cat /elsewhere/.tool/x; echo more >> ~/.tool/x' }}\n      \
         - {{ name: root, user: \"0\", run: 'cat ~/.tool/x; echo $HOME' }}\n",
        images::busybox()
    ));
    let done = run_local(env, &[]).expect(0);
    let _ = done
        .says("\n1000\n")
        .says("\nmine\nmore\n/root\n")
        .says(": saved: ");
    let done = run_local(env, &[]).expect(0);
    let _ = done.says(": restored: ").says("\nmine\nmore\n");
}

fn what_holds_a_secret_is_not_kept(env: &TestEnvironment) {
    let secret = [("SLIPWAY_TEST_TOKEN", "correct-horse-battery")];
    let cache = "[{ key: a, paths: [target] }, { key: b, paths: [other] }]";
    let script = "mkdir -p target other; echo fine > other/x; \
                  { head -c 300000 /dev/zero; printf %s \"$SLIPWAY_TEST_TOKEN\" | base64; } > target/config";
    env.pipeline(&format!(
        "image: host\njobs:\n  main:\n    secrets: [SLIPWAY_TEST_TOKEN]\n    cache: {cache}\n    steps: [{{ name: s, run: {} }}]\n",
        serde_json::to_string(script).expect("text")
    ));
    let run = || {
        let mut agent = env.agent(["run-local", "--secret", "SLIPWAY_TEST_TOKEN"]);
        for (name, value) in secret {
            agent = agent.variable(name, value);
        }
        agent.run().expect(0)
    };
    let _ = run()
        .says("Cache `a` of job `main`: it is not saved: `target/config` holds the value of a secret.")
        .says("=== main / cache b: saved: ");
    assert_eq!(blobs(env).len(), 1);
    assert_eq!(files(&env.data().join("caches/tmp")).len(), 0);
    let _ = run()
        .says("cache a: there is none yet")
        .says("cache b: restored: ");
}

fn a_hostile_archive_reaches_nothing_and_the_job_goes_on(env: &TestEnvironment) {
    pipeline(
        env,
        "host",
        "[{ key: a, paths: [target] }]",
        &["mkdir -p target; echo x > target/x; cat src 2>/dev/null || true"],
    );
    env.write("project/src", "the source\n");
    let precious = env.root().join("precious");
    env.write(&precious, "precious");
    let _ = run_local(env, &[]).expect(0).says(": saved: ");
    let hostile = env.root().join("hostile");
    let make = format!(
        "import io, sys, tarfile, hashlib, os, glob, json\n\
         def member(tar, name, kind=tarfile.REGTYPE, link='', text=b''):\n    \
             info = tarfile.TarInfo(name); info.type = kind; info.linkname = link; info.size = len(text)\n    \
             tar.addfile(info, io.BytesIO(text))\n\
         out = io.BytesIO()\n\
         with tarfile.open(fileobj=out, mode='w') as tar:\n    \
             member(tar, '0/target', tarfile.DIRTYPE)\n    \
             member(tar, '0/target/first', text=b'first')\n    \
             {{}}\n\
         data = '{data}/caches'\n\
         digest = hashlib.sha256(out.getvalue()).hexdigest()\n\
         for blob in glob.glob(data + '/blobs/*'): os.remove(blob)\n\
         open(data + '/blobs/' + digest, 'wb').write(out.getvalue())\n\
         for entry in glob.glob(data + '/index/*/*.json'):\n    \
             told = json.load(open(entry)); told['sha256'] = digest; json.dump(told, open(entry, 'w'))\n",
        data = env.data().display()
    );
    let outside = precious.display().to_string();
    for (evil, why) in [
        ("member(tar, '0/src', text=b'evil')".to_owned(), "it belongs somewhere else"),
        ("member(tar, '0/target/../src', text=b'evil')".to_owned(), "`..` in a path"),
        (format!("member(tar, '{outside}', text=b'evil')"), "it belongs somewhere else"),
        (
            "member(tar, '0/target/door', tarfile.SYMTYPE, '..'); member(tar, '0/target/door/src', text=b'evil')".to_owned(),
            "failed to open the parent of",
        ),
        ("member(tar, '0/target/null', tarfile.CHRTYPE)".to_owned(), "a device or a pipe"),
        ("member(tar, '0/target/hard', tarfile.LNKTYPE, '0/src')".to_owned(), "it belongs somewhere else"),
    ] {
        env.write(&hostile, make.replace("{}", &evil));
        let made = std::process::Command::new("python3").arg(&hostile).status();
        assert!(made.is_ok_and(|status| status.success()), "python3");
        for blob in blobs(env) {
            env.own(&blob);
        }
        let script = "ls target 2>/dev/null || true; cat src; mkdir -p target; echo x > target/x";
        pipeline(env, "host", "[{ key: a, paths: [target] }]", &[script]);
        let done = clean(run_local(env, &[])).expect(0);
        let _ = done
            .says("warning: Cache `a` of job `main`: it is not restored: ")
            .says(why)
            .says("\nthe source\n")
            .does_not_say("\nfirst\n");
        assert_eq!(env.read(&precious), "precious");
    }
    // What could not be used has given place.
    let _ = run_local(env, &[]).expect(0).says(": restored: ");
}

fn only_a_success_keeps_anything_and_the_first_stays(env: &TestEnvironment) {
    let cache = "[{ key: a, paths: [target] }]";
    pipeline(env, "host", cache, &["mkdir target; exit 3"]);
    let _ = run_local(env, &[]).expect(1).does_not_say("saved");
    assert_eq!(blobs(env).len(), 0);
    pipeline(env, "host", cache, &["true"]);
    let _ = run_local(env, &[])
        .expect(0)
        .says("it is not saved: there is nothing at its paths");
    // Two jobs of the same key at once.
    let job = |name: &str| {
        format!(
            "  {name}:\n    cache: {cache}\n    steps: [{{ name: s, run: 'mkdir target; echo {name} > target/x' }}]\n"
        )
    };
    env.pipeline(&format!("image: host\njobs:\n{}{}", job("one"), job("two")));
    let done = run_local(env, &["--jobs-parallel", "2"]).expect(0);
    let text = done.output();
    let saved = text.matches(": saved: ").count();
    let taken = text
        .matches("not saved: another job has saved it meanwhile")
        .count();
    let restored = text.matches(": restored: ").count();
    assert_eq!((saved, taken + restored), (1, 1), "{text}");
    // What is in the tree itself outlives the run anyway.
    let _ = run_local(env, &["--in-place", "--job", "one"])
        .says("with --in-place what is in the workspace stays there")
        .does_not_say("restored: ");
}

fn keys_are_found_by_their_beginnings_and_by_cell(env: &TestEnvironment) {
    env.pipeline(
        "image: host\njobs:\n  t:\n    matrix: { of: [one, two] }\n    cache: [{ key: \"k-${{ matrix.of }}\", paths: [\"out/${{ matrix.of }}\"] }]\n    \
         steps: [{ name: s, run: 'ls out 2>/dev/null || true; mkdir -p out/${{ matrix.of }}; echo x > out/${{ matrix.of }}/x' }]\n",
    );
    let _ = run_local(env, &[]).expect(0);
    let done = run_local(env, &["--json"]).expect(0);
    let restored: Vec<_> = done
        .events()
        .into_iter()
        .filter(|event| event["type"] == "cache_restored")
        .map(|event| format!("{} {}", event["job"], event["key"]))
        .collect();
    assert_eq!(restored.len(), 2, "{restored:?}");
    assert!(
        restored.contains(&"\"t (one)\" \"k-one\"".to_owned()),
        "{restored:?}"
    );
}

fn paths_that_lead_elsewhere_are_refused_with_their_place(env: &TestEnvironment) {
    pipeline(
        env,
        "host",
        "[{ key: a, paths: [../x, /proc/sys, /, ~root/x, .git] }]",
        &["true"],
    );
    let done = run_local(env, &[]).expect(65);
    let _ = done
        .says("error[bad-cache]: `../x` cannot be kept: a `..` leads out of what can be kept")
        .says(".pipeline.yml:4:")
        .says("`/proc/sys` cannot be kept")
        .says("`~root/x` cannot be kept");
    // What is only known later is a warning then, and the job runs.
    env.pipeline(
        "image: host\njobs:\n  t:\n    matrix: { of: ['..', fine] }\n    cache: [{ key: k, paths: [\"${{ matrix.of }}/x\"] }]\n    \
         steps: [{ name: s, run: 'mkdir fine; echo x > fine/x' }]\n",
    );
    let _ = run_local(env, &[])
        .expect(0)
        .says("warning: A cache of job `t (..)` is left out: .pipeline.yml:3: \"../x\" cannot be kept: a `..` leads out")
        .says("cache k: saved: ");
}

fn the_store_is_bounded_shown_and_emptied(env: &TestEnvironment) {
    env.write("config.yml", "limits: { caches: 1MiB }\n");
    let config = env.root().join("config.yml").display().to_string();
    let run = |arguments: &[&str]| {
        env.agent(arguments)
            .variable("SLIPWAY_CONFIG", &config)
            .run()
    };
    for key in ["a", "b", "c"] {
        let script = "mkdir target; head -c 400000 /dev/urandom > target/x";
        pipeline(
            env,
            "host",
            &format!("[{{ key: {key}, paths: [target] }}]"),
            &[script],
        );
        let _ = run(&["run-local"]).expect(0).says(": saved: ");
    }
    assert_eq!(blobs(env).len(), 2, "the oldest made room");
    let script = "mkdir target; head -c 2000000 /dev/urandom > target/x";
    pipeline(env, "host", "[{ key: d, paths: [target] }]", &[script]);
    let _ = run(&["run-local"])
        .expect(0)
        .says("it is not saved: more than 1048576 bytes");
    let _ = run(&["df"]).expect(0).says("caches");
    let _ = run(&["caches", "clear"])
        .expect(0)
        .says("2 caches removed, ");
    assert_eq!(blobs(env).len(), 0);
    pipeline(env, "host", "[{ key: c, paths: [target] }]", &["true"]);
    let _ = run(&["run-local"]).expect(0).says("there is none yet");
}

fn nothing_of_a_killed_run_is_ever_found(env: &TestEnvironment) {
    let cache = "[{ key: a, paths: [target] }]";
    let fill = "mkdir -p target; i=0; while [ $i -lt 60 ]; do head -c 1000000 /dev/urandom > target/$i; i=$((i+1)); done; echo filled";
    // In the midst of the saving, of whatever moment.
    for _ in 0..3 {
        pipeline(env, "host", cache, &[fill]);
        let mut running = env.agent(["run-local"]).spawn();
        running.wait_for("filled");
        let drafts = env.data().join("caches/tmp");
        let begun = until(PATIENCE, || (!files(&drafts).is_empty()).then_some(()));
        begun.expect("an archive in the making");
        running.signal(Signal::KILL);
        let _ = running.finish();
        env.assert_nothing_survives();
        assert_eq!(blobs(env).len(), 0);
    }
    let _ = run_local(env, &[])
        .expect(0)
        .says("there is none yet")
        .says(": saved: ");
    assert_eq!(blobs(env).len(), 1);
    assert_eq!(
        files(&env.data().join("caches/tmp")).len(),
        0,
        "remains are removed"
    );
    // In the midst of the restoring.
    for _ in 0..3 {
        pipeline(env, "host", cache, &["ls target | wc -l"]);
        let running = env.agent(["run-local"]).spawn();
        let zygote = until(PATIENCE, || zygote_now(running.id()));
        assert!(zygote.is_some());
        running.signal(Signal::KILL);
        let _ = running.finish();
        env.assert_nothing_survives();
    }
    let _ = run_local(env, &[])
        .expect(0)
        .says(": restored: 61 files")
        .says("\n60\n");
}

fn a_full_disk_is_a_warning(env: &TestEnvironment) {
    let data = env.data().display().to_string();
    let mount = format!("mkdir -p {data} && mount -t tmpfs -o size=6m tmpfs {data}");
    // There is room for the files, which are in another place, and none for their archive.
    let script = "head -c 3500000 /dev/urandom > /opt/big/x; echo built";
    pipeline(env, "host", "[{ key: a, paths: [/opt/big] }]", &[script]);
    let done = clean(env.agent(["run-local"]).after(&mount).run());
    let _ = done
        .expect(0)
        .says("\nbuilt\n")
        .says("it is not saved: ")
        .says("No space left on device");
}

/// Whether the agent has children yet: what it puts back, they do.
fn zygote_now(agent: u32) -> Option<()> {
    let children = fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).ok()?;
    (!children.trim().is_empty()).then_some(())
}
