//! `kill -9` of the agent at any moment: nothing of it goes on, and the next run works as if nothing had happened.
#![expect(
    clippy::print_stdout,
    reason = "how fast, for whoever reads the log of a test"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{NetworkNamespaces, Registry, TestEnvironment, for_everyone, images};
use rustix::process::Signal;

use crate::support::{Moments, output_of, run_local};

for_everyone!(
    an_agent_killed_at_two_hundred_moments_leaves_nothing,
    a_pull_killed_at_a_hundred_moments_is_taken_up_by_the_next,
    a_killed_agent_leaves_no_service_and_no_network,
);

const MOMENTS: u32 = 200;

/// 20 steps in four jobs that run at once, on two images. What they start would live on for hours; what they write to the
/// workspace and to their root would stay.
fn pipeline() -> String {
    let mut text = String::from("jobs:\n");
    for job in 0..4 {
        let image = match job % 2 {
            0 => images::plain(),
            _ => "host".to_owned(),
        };
        let _ = write!(text, "  job{job}:\n    image: \"{image}\"\n    steps:\n");
        for step in 0..5 {
            let _ = write!(
                text,
                "      - name: s{step}\n        run: |\n          (sleep 5000 & sleep 5000 &)\n          \
                 setsid sleep 5000 &\n          echo {step} >> written; mkdir -p d/{step}/e; ln -s / d/{step}/root\n          \
                 echo {step} > /tmp/f\n"
            );
        }
    }
    text
}

fn an_agent_killed_at_two_hundred_moments_leaves_nothing(env: &TestEnvironment) {
    let checksum = "find / -xdev -path /workspace -prune -o -path /etc/host* -prune -o -type f -print | sort | xargs sha256sum | sha256sum";
    let before = output_of(env, &images::plain(), checksum);
    env.pipeline(&pipeline());
    let options = ["--jobs-parallel", "4"];
    let from = Instant::now();
    let _ = run_local(env, &options).expect(0);
    let mut whole = from.elapsed();

    let mut moments = Moments::new(std::process::id());
    let (mut killed, mut slowest) = (0, Duration::ZERO);
    for _ in 0..MOMENTS {
        let running = env.agent(["run-local"].iter().chain(&options)).spawn();
        // Any moment from the first instruction to a little behind the last.
        let moment = whole.mul_f64(moments.next() * 1.1);
        std::thread::sleep(moment);
        running.signal(Signal::KILL);
        let from = Instant::now();
        let code = running.finish().code();
        assert!(
            code == 137 || code == 0,
            "a run that nobody stopped ended with {code}, seed {}",
            moments.seed
        );
        match code {
            137 => killed += 1,
            // It was faster than the first one.
            _ => whole = whole.min(moment),
        }
        env.assert_nothing_survives();
        slowest = slowest.max(from.elapsed());
    }
    assert!(killed > MOMENTS / 2, "only {killed} runs were still there");
    println!("{killed} of {MOMENTS} runs killed; the slowest was gone after {slowest:?}");

    let _ = run_local(env, &options).expect(0);
    assert_eq!(output_of(env, &images::plain(), checksum), before);
    let verify = env.agent(["image", "verify"]).run();
    let _ = verify.expect(0).says("ok: ");
}

/// Stores are killed at until one is whole; then it is looked at, and the next one begins.
fn a_pull_killed_at_a_hundred_moments_is_taken_up_by_the_next(env: &TestEnvironment) {
    let registry = Registry::start();
    let reference = registry.push(
        &format!("oci:{}", images::path("tree:latest").display()),
        "tree",
    );
    let listing = fs::read_to_string(images::path("list-tree")).expect("read the listing's script");
    let store = |number: u32| env.data().with_file_name(format!("store-{number}"));
    let pull = |number| {
        let agent = env.agent(["pull", &reference]);
        agent.variable("SLIPWAY_DATA", store(number))
    };
    let tree = |number| {
        let agent = env.agent(["run", &reference, "sh", "-c", &listing]);
        let agent = agent.variable("SLIPWAY_DATA", store(number));
        agent.run().expect(0).output()
    };
    let from = Instant::now();
    let _ = pull(0).run().expect(0);
    let mut whole = from.elapsed();
    let expected = tree(0);

    let mut moments = Moments::new(std::process::id());
    let (mut killed, mut number) = (0, 1);
    for _ in 0..100 {
        let running = pull(number).spawn();
        let moment = whole.mul_f64(moments.next() * 1.1);
        std::thread::sleep(moment);
        running.signal(Signal::KILL);
        let done = running.finish();
        env.assert_nothing_survives();
        if done.code() == 137 {
            killed += 1;
            continue;
        }
        let _ = done.expect(0);
        whole = whole.min(moment);
        assert_eq!(tree(number), expected, "seed {}", moments.seed);
        number += 1;
    }
    assert!(killed > 25, "only {killed} pulls were still there");
    println!("{killed} pulls killed, {number} stores");
    let _ = pull(number).run().expect(0);
    assert_eq!(tree(number), expected, "seed {}", moments.seed);
    for number in 0..=number {
        assert_eq!(unfinished(&store(number)), Vec::<PathBuf>::new());
        let verify = env.agent(["image", "verify"]);
        let verify = verify.variable("SLIPWAY_DATA", store(number));
        let _ = verify.run().expect(0).says("ok: ");
    }
}

/// Layers of a store that are not whole.
fn unfinished(store: &Path) -> Vec<PathBuf> {
    let maps = fs::read_dir(store.join("rootfs")).expect("list a store");
    maps.flatten()
        .flat_map(|map| fs::read_dir(map.path().join("layers")).expect("list layers"))
        .flatten()
        .map(|layer| layer.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tmp"))
        .collect()
}

/// At once, and while all of it is being made.
fn a_killed_agent_leaves_no_service_and_no_network(env: &TestEnvironment) {
    let service = format!(
        "{{ image: \"{}\", args: [sh, -c, 'httpd -p 80 -h /etc; exec sleep 5000'], ready: {{ tcp: 80 }} }}",
        images::plain()
    );
    env.pipeline(&format!(
        "jobs:\n  main:\n    image: \"{}\"\n    services: {{ one: {service}, two: {service} }}\n    steps:\n      \
         - name: step\n        run: |\n          wget -q -O - http://two/hostname; sleep 5000 | nc one 80\n",
        images::plain()
    ));
    let mut running = env.agent(["run-local"]).spawn();
    running.wait_for("two\n");
    let namespaces = NetworkNamespaces::of(running.id());
    assert!(namespaces.count() >= 4, "{namespaces:?}");
    running.signal(Signal::KILL);
    let _ = running.finish().expect(137);
    namespaces.assert_gone(Duration::from_secs(1));
    env.assert_nothing_survives_a_second();

    let mut moments = Moments::new(std::process::id());
    for _ in 0..20 {
        let running = env.agent(["run-local"]).spawn();
        std::thread::sleep(Duration::from_millis(300).mul_f64(moments.next()));
        let namespaces = NetworkNamespaces::of(running.id());
        running.signal(Signal::KILL);
        let _ = running.finish().expect(137);
        namespaces.assert_gone(Duration::from_secs(1));
        env.assert_nothing_survives_a_second();
    }
    let _ = output_of(env, &images::plain(), "true");
}
