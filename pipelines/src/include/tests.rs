use std::collections::HashMap;

use super::{Inclusion, gather};
use crate::{Compilation, Overrides, Source, compile, plan::Action, render};

/// Compiles the first file with the others around it.
fn compiled(files: &[(&str, &str)]) -> (Source, Compilation) {
    let others: HashMap<&str, &str> = files[1..].iter().copied().collect();
    let mut source = Source::new(files[0].0, files[0].1);
    gather(&mut source, &mut |inclusion| {
        let found = others.get(inclusion.to_string().as_str());
        let found = found.ok_or_else(|| "there is no such file".to_owned())?;
        Ok(found.as_bytes().to_vec())
    });
    let compilation = compile(&source, &Overrides::default());
    (source, compilation)
}

fn mistakes(files: &[(&str, &str)]) -> String {
    let (source, compilation) = compiled(files);
    assert!(compilation.plan.is_none());
    render::human(&source, &compilation.diagnostics, false)
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn the_including_file_lies_over_the_included_ones_key_by_key() {
    let (_, compilation) = compiled(&[
        (
            ".pipeline.yml",
            "include: [{ path: a.yml }, { path: ./ci//b.yml }]\nenv: { C: own }\njobs:\n  test:\n    image: own\n",
        ),
        (
            "a.yml",
            "env: { A: a, B: a, C: a }\njobs:\n  test:\n    image: a\n    steps: [{ run: from a }]\n",
        ),
        (
            "ci/b.yml",
            "env: { B: b, C: b }\njobs:\n  other: { image: host, steps: [{ run: from b }] }\n",
        ),
    ]);
    let plan = compilation.plan.unwrap();
    let ids: Vec<&str> = plan.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["test", "other"]);
    let command = &plan.jobs[0].steps[0].command;
    assert_eq!(command.image, "own".into());
    let script = match &command.action {
        Action::Script { script, .. } => script,
        Action::Entrypoint { .. } => unreachable!(),
    };
    assert_eq!(script, &"from a".into());
    let env: Vec<(&str, &str)> = command
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_literal().unwrap()))
        .collect();
    assert_eq!(env, [("A", "a"), ("B", "b"), ("C", "own")]);
    let place = &plan.jobs[1].place;
    assert_eq!((place.file.as_str(), place.line), ("ci/b.yml", 3));
}

#[test]
fn mistakes_are_shown_in_the_file_they_are_in() {
    insta::assert_snapshot!(mistakes(&[
        (".pipeline.yml", "include: [{ path: a.yml }]\nimage: host\njobs: {}\nimag: x\n"),
        ("a.yml", "# é\nsteps:\n  - { rum: x }\n"),
    ]), @"
    error[no-jobs]: the pipeline has no jobs
     --> .pipeline.yml:3:7
      |
    3 | jobs: {}
      |       ^^
      |
      = help: add one below `jobs`: its id, and in it `steps`

    error[unknown-key]: a pipeline has no key `imag`
     --> .pipeline.yml:4:1
      |
    4 | imag: x
      | ^^^^ did you mean `image`?

    error[jobs-and-steps]: a pipeline has either `jobs` or `steps`
     --> a.yml:2:1
      |
    2 | steps:
      | ^^^^^
      |
     ::: .pipeline.yml:3:1
      |
    3 | jobs: {}
      | ---- the other one is here
      |
      = help: move the steps into a job, below `jobs`

    error[unknown-key]: a step has no key `rum`
     --> a.yml:3:7
      |
    3 |   - { rum: x }
      |       ^^^ did you mean `run`?
    ");
}

#[test]
fn a_circle_and_what_is_missing_are_named_at_the_include() {
    insta::assert_snapshot!(mistakes(&[
        ("p.yml", "include: [{ path: a.yml }, { path: none.yml }]\nimage: host\nsteps: [{ run: x }]\n"),
        ("a.yml", "include: [{ path: b.yml }]\n"),
        ("b.yml", "include: [{ path: a.yml }, { path: list.yml }]\n"),
        ("list.yml", "- x\n"),
    ]), @"
    error[bad-include]: `none.yml` cannot be included: there is no such file
     --> p.yml:1:28
      |
    1 | include: [{ path: a.yml }, { path: none.yml }]
      |                            ^^^^^^^^^^^^^^^^^^

    error[include-cycle]: `a.yml` includes itself
     --> b.yml:1:11
      |
    1 | include: [{ path: a.yml }, { path: list.yml }]
      |           ^^^^^^^^^^^^^^^
      |
      = help: it does so by way of a.yml -> b.yml

    error[bad-include]: `list.yml` cannot be included: it is a list, and not a mapping
     --> b.yml:1:28
      |
    1 | include: [{ path: a.yml }, { path: list.yml }]
      |                            ^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn what_is_no_inclusion_is_refused() {
    insta::assert_snapshot!(mistakes(&[(
        "p.yml",
        "include:
  - ci.yml
  - { path: ../ci.yml }
  - { path: /ci.yml }
  - { path: a.yml, git: https://x.org/y, ref: main }
  - { path: a.yml, git: https://user:token@x.org/y, ref: 0123456789abcdef0123456789abcdef01234567 }
  - { path: a.yml, git: 'ext::sh -c x', ref: 0123456789abcdef0123456789abcdef01234567 }
  - { path: a.yml, git: https://x.org/y }
  - { file: a.yml }
image: host
steps: [{ run: x }]
",
    )]), @"
    error[wrong-type]: `include` is a list of mappings, and this is a string
     --> p.yml:2:5
      |
    2 |   - ci.yml
      |     ^^^^^^
      |
      = help: write `{ path: ci/defaults.yml }`

    error[bad-include]: `../ci.yml` leads out of the tree
     --> p.yml:3:13
      |
    3 |   - { path: ../ci.yml }
      |             ^^^^^^^^^
      |
      = help: write the path from the root of the tree, without `..`

    error[bad-include]: `/ci.yml` leads out of the tree
     --> p.yml:4:13
      |
    4 |   - { path: /ci.yml }
      |             ^^^^^^^
      |
      = help: write the path from the root of the tree, without `..`

    error[bad-include]: `main` is not a commit's whole name
     --> p.yml:5:47
      |
    5 |   - { path: a.yml, git: https://x.org/y, ref: main }
      |                                               ^^^^
      |
      = help: pin it: a branch or a tag can be moved; `git rev-parse REF` tells the name

    error[bad-include]: `https://user:token@x.org/y` holds credentials
     --> p.yml:6:25
      |
    6 |   - { path: a.yml, git: https://user:token@x.org/y, ref: 0123456789abcdef0123456789abcdef01234567 }
      |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: remove them: git's own credential helpers are asked

    error[bad-include]: `ext::sh -c x` contains white space
     --> p.yml:7:25
      |
    7 |   - { path: a.yml, git: 'ext::sh -c x', ref: 0123456789abcdef0123456789abcdef01234567 }
      |                         ^^^^^^^^^^^^^^
      |
      = help: write a URL such as `https://example.org/ci.git`

    error[missing-key]: `include` needs a key `ref`
     --> p.yml:8:5
      |
    8 |   - { path: a.yml, git: https://x.org/y }
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: add it, such as `ref: 1f0a… (the commit's whole name)`

    error[missing-key]: `include` needs a key `path`
     --> p.yml:9:5
      |
    9 |   - { file: a.yml }
      |     ^^^^^^^^^^^^^^^
      |
      = help: add it, such as `path: ci/defaults.yml`

    error[unknown-key]: an entry of `include` has no key `file`
     --> p.yml:9:7
      |
    9 |   - { file: a.yml }
      |       ^^^^
      |
      = help: the keys of an entry of `include` are `path`, `git`, `ref`
    ");
}

#[test]
fn a_path_in_a_pinned_file_is_of_the_same_commit() {
    let start =
        format!("include: [{{ git: https://x.org/y, ref: {COMMIT}, path: a.yml }}]\nimage: host\n");
    let (_, compilation) = compiled(&[
        ("p.yml", &start),
        (
            "https://x.org/y@0123456789ab:a.yml",
            "include: [{ path: b.yml }]\n",
        ),
        (
            "https://x.org/y@0123456789ab:b.yml",
            "steps: [{ run: pinned }]\n",
        ),
    ]);
    let place = &compilation.plan.unwrap().jobs[0].steps[0].place;
    assert_eq!(place.file, "https://x.org/y@0123456789ab:b.yml");
}

#[test]
fn files_are_asked_for_once_and_their_number_is_bounded() {
    let mut asked = Vec::new();
    let mut source = Source::new("p.yml", "include: [{ path: '0' }]\n");
    gather(&mut source, &mut |inclusion| {
        let Inclusion::Path(path) = inclusion else {
            unreachable!()
        };
        asked.push(path.clone());
        let next: usize = path.parse::<usize>().unwrap() + 1;
        Ok(format!("include: [{{ path: '{next}' }}, {{ path: '0' }}]\n").into_bytes())
    });
    assert_eq!(asked.len(), 64);
    let rendered = render::human(
        &source,
        &compile(&source, &Overrides::default()).diagnostics,
        false,
    );
    assert!(
        rendered.contains("`64` cannot be included: 64 files are included already"),
        "{rendered}"
    );
}

#[test]
fn all_files_together_are_bounded() {
    let mut source = Source::new(
        "p.yml",
        "include: [{ path: a }, { path: b }, { path: c }, { path: d }, { path: e }]\n",
    );
    gather(&mut source, &mut |_| Ok(vec![b'#'; 1 << 20]));
    assert!(source.text().len() <= 4 << 20);
    let diagnostics = compile(&source, &Overrides::default()).diagnostics;
    assert!(diagnostics.iter().any(|diagnostic| {
        diagnostic
            .message
            .ends_with("more than 4194304 bytes (4 MiB)")
    }));
}
