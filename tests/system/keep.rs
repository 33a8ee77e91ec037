//! `--keep`: what steps wrote is where the agent announced it, however the run ended, until a week has passed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use harness::{Finished, TestEnvironment, for_everyone};
use serde_json::Value;

use crate::support::run_local;

for_everyone!(
    what_was_announced_is_kept_however_the_run_ends,
    what_was_announced_is_kept_when_the_run_is_cancelled,
);

/// Writes a file into the workspace, then does as it is told.
fn pipeline(env: &TestEnvironment, then: &str) {
    env.pipeline(&format!(
        "image: host\nsteps:\n  - name: step\n    run: |\n      mkdir made; echo kept > made/file; echo ready\n      {then}\n"
    ));
}

fn what_was_announced_is_kept_however_the_run_ends(env: &TestEnvironment) {
    let ends = [
        ("true", 0),
        ("exit 3", 1),
        ("kill -KILL $$", 1),
        ("setsid sleep 1000 & exit 0", 0),
    ];
    let mut all = Vec::new();
    for (then, code) in ends {
        pipeline(env, then);
        all.push(assert_kept(
            &run_local(env, &["--keep", "--json"]),
            then,
            code,
        ));
    }
    env.pipeline(
        "image: host\nsteps: [{ name: step, timeout: 300ms, run: \"mkdir made; echo kept > made/file; sleep 1000\" }]\n",
    );
    all.push(assert_kept(
        &run_local(env, &["--keep", "--json"]),
        "a timeout",
        1,
    ));

    // Whoever comes later leaves it alone, for a week.
    pipeline(env, "true");
    let _ = run_local(env, &[]).expect(0);
    for kept in &all {
        assert_holds(kept, "after another run");
        age(kept, Duration::from_secs(8 * 24 * 3600));
    }
    let _ = run_local(env, &[]).expect(0);
    assert_eq!(all.iter().find(|kept| kept.exists()), None);
}

fn what_was_announced_is_kept_when_the_run_is_cancelled(env: &TestEnvironment) {
    env.write("config.yml", "grace: 1h\n");
    let mut all = Vec::new();
    for (then, presses) in [
        ("sleep 1000", 1),
        (
            "trap 'echo ignored' TERM; while :; do sleep 0.05 || true; done",
            2,
        ),
    ] {
        pipeline(env, then);
        let mut running = env.agent(["run-local", "--keep", "--json"]).spawn();
        running.wait_for(r"ready\n");
        running.interrupt();
        if presses == 2 {
            running.wait_for(r"ignored\n");
            running.interrupt();
        }
        all.push(assert_kept(&running.finish(), then, 130));
    }
    for kept in &all {
        age(kept, Duration::from_secs(8 * 24 * 3600));
    }
    pipeline(env, "true");
    let _ = run_local(env, &[]).expect(0);
}

/// What the run announced holds what the step wrote; returns where.
#[track_caller]
fn assert_kept(done: &Finished, why: &str, code: i32) -> PathBuf {
    assert_eq!(done.code(), code, "{why}: {done}");
    let announced = done.events().iter().find_map(|event: &Value| {
        let message = event["message"].as_str()?;
        let (_, path) = message.split_once("is kept for a week in ")?;
        Some(PathBuf::from(path.trim_end_matches('.')))
    });
    let path = announced.unwrap_or_else(|| panic!("{why}: nothing was announced: {done}"));
    assert_holds(&path, why);
    path
}

#[track_caller]
fn assert_holds(kept: &Path, why: &str) {
    let files = files(kept);
    let found = files.iter().find(|path| path.ends_with("made/file"));
    let text = found.map(|path| fs::read_to_string(path).unwrap_or_default());
    assert_eq!(
        text.as_deref(),
        Some("kept\n"),
        "{why}: {} holds {files:?}",
        kept.display()
    );
}

/// Every path below a directory, as far as the tests' own user can see it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

/// As if the directory had been left `age` ago.
fn age(path: &Path, age: Duration) {
    File::open(path)
        .and_then(|directory| directory.set_modified(SystemTime::now() - age))
        .unwrap_or_else(|error| panic!("age {}: {error}", path.display()));
}
