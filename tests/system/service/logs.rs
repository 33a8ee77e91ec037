//! `agent logs`.

use harness::{TestEnvironment, for_one_user, images};

use super::{Ci, repository};
use crate::agents::drain;

for_one_user!(
    logs_are_read_and_followed_with_their_times,
    the_log_of_a_service_is_read_by_its_name
);

fn logs_are_read_and_followed_with_their_times(env: &TestEnvironment) {
    let shared = env.root().join("shared");
    env.write("shared/x", "");
    repository(
        env,
        &format!(
            "image: host\nsteps:\n  - name: a\n    run: echo begin; while ! [ -e {}/go ]; do sleep 0.05; done; echo end\n  - name: b\n    run: echo second\n",
            shared.display()
        ),
    );
    let ci = Ci::start(env);
    env.write(
        "config.yml",
        format!(
            "repositories: {{ files: true }}\nhost: {{ paths: [{}] }}\n",
            shared.display()
        ),
    );
    let agent = ci.agent("data", &[]);
    let _ = ci.user(&["submit"]).run().expect(0);
    let mut following = ci.user(&["logs", "-f", "1"]).spawn();
    following.wait_for("begin\n");
    env.write("shared/go", "");
    let followed = following.finish().expect(0);
    assert_eq!(followed.output(), "begin\nend\nsecond\n");
    let stamped = ci
        .user(&["logs", "--timestamps", "1"])
        .run()
        .expect(0)
        .output();
    let lines: Vec<(&str, &str)> = stamped
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    assert_eq!(
        lines.iter().map(|(_, text)| *text).collect::<Vec<_>>(),
        ["begin", "end", "second"]
    );
    assert!(
        lines
            .iter()
            .all(|(time, _)| time.starts_with("20") && time.ends_with('Z')),
        "{stamped}"
    );
    let _ = ci
        .user(&["logs", "1", "--step", "c"])
        .run()
        .expect(2)
        .says("the steps are a, b");
    let _ = drain(agent);
    ci.stop();
}

fn the_log_of_a_service_is_read_by_its_name(env: &TestEnvironment) {
    let image = images::plain();
    repository(
        env,
        &format!(
            "image: \"{image}\"\njobs:\n  main:\n    services:\n      db:\n        image: \"{image}\"\n        \
             args: [sh, -c, \"echo served; exec sleep 600\"]\n    steps:\n      - name: step\n        run: echo step\n"
        ),
    );
    let ci = Ci::start(env);
    let agent = ci.agent("data", &[]);
    let _ = ci.user(&["submit", "--follow"]).run().expect(0);
    let of = |words: &[&str]| ci.user(&[&["logs", "1"], words].concat()).run();
    assert_eq!(of(&["--service", "db"]).expect(0).output(), "served\n");
    let followed = of(&["--service", "db", "--follow", "--timestamps"]);
    let followed = followed.expect(0).output();
    assert!(followed.ends_with("Z served\n"), "{followed}");
    assert_eq!(of(&[]).expect(0).output(), "step\n");
    let _ = of(&["--service", "web"])
        .expect(2)
        .says("job 1 has no service `web`")
        .says("it has `db`");
    let _ = of(&["--attempt", "7"])
        .expect(2)
        .says("job 1 has no attempt 7")
        .says("its attempts are 1");
    let _ = drain(agent);
    ci.stop();
}
