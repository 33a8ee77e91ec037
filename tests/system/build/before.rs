//! What was made before is taken again.

use harness::{TestEnvironment, for_everyone, for_one_user};

use super::{BASE, base, before, build, config, inside, steps, write};
use crate::door_containers::agent;

for_everyone!(what_was_made_before_is_taken_and_what_changed_is_made_anew);

for_one_user!(what_is_made_stays_as_long_as_an_image_has_it);

fn what_was_made_before_is_taken_and_what_changed_is_made_anew(env: &TestEnvironment) {
    base(env);
    write(env, "a", "1\n");
    write(env, "b", "1\n");
    let dockerfile = format!(
        "FROM {BASE}\nWORKDIR /w\nCOPY a /a\nRUN cat /proc/sys/kernel/random/uuid > /random\nCOPY b /b\nRUN cat /b > /c\n"
    );
    let id = |env: &TestEnvironment| config(env)["id"].as_str().unwrap_or("").to_owned();
    let first = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&first), [false; 6]);
    let made = id(env);
    let second = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&second), [false, true, true, true, true, true]);
    assert_eq!(id(env), made);
    // A time alone changes nothing.
    write(env, "a", "1\n");
    let touched = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&touched), [false, true, true, true, true, true]);
    write(env, "b", "2\n");
    let changed = build(env, &dockerfile, &[]).expect(0);
    assert_eq!(before(&changed), [false, true, true, true, false, false]);
    assert_eq!(inside(env, "cat /c"), "2\n");
    let anew = build(env, &dockerfile, &["--no-cache"]).expect(0);
    assert_eq!(before(&anew), [false; 6]);
    // An argument that a command sees is what it was made from.
    let with = format!("FROM {BASE}\nARG X\nRUN echo $X > /x\n");
    let _ = build(env, &with, &["--build-arg", "X=1"]).expect(0);
    let _ = build(env, &with, &["--build-arg", "X=2"]).expect(0);
    assert_eq!(inside(env, "cat /x"), "2\n");
}

fn what_is_made_stays_as_long_as_an_image_has_it(env: &TestEnvironment) {
    base(env);
    let dockerfile = format!("FROM {BASE}\nRUN echo x > /x\n");
    let _ = build(env, &dockerfile, &[]).expect(0);
    let _ = agent(env, &["image", "prune"]).expect(0);
    let again = build(env, &dockerfile, &[]).expect(0);
    assert!(steps(&again)[1].1);
    let _ = agent(env, &["rmi", "localhost/built"]).expect(0);
    let _ = agent(env, &["image", "prune"]).expect(0);
    let anew = build(env, &dockerfile, &[]).expect(0);
    assert!(!steps(&anew)[1].1);
    assert_eq!(inside(env, "cat /x"), "x\n");
    let _ = agent(env, &["image", "verify", "localhost/built"]).expect(0);
}
