//! What becomes of matrices, conditions, expressions and triggers.

use crate::{Context, Event, Options, Severity, Source, compile_with, plan::Plan, render};

/// A plan for a push to `dev`, whatever keys it has.
fn plan(text: &str) -> Plan {
    with(text, |_| {})
}

fn with(text: &str, change: impl FnOnce(&mut Context)) -> Plan {
    let (source, compilation) = compiled(text, change);
    compilation.plan.unwrap_or_else(|| {
        panic!(
            "{}",
            render::human(&source, &compilation.diagnostics, false)
        )
    })
}

/// The diagnostics of a text that is no pipeline.
fn refusal(text: &str) -> String {
    let (source, compilation) = compiled(text, |_| {});
    assert!(compilation.plan.is_none());
    render::human(&source, &compilation.diagnostics, false)
}

fn compiled(text: &str, change: impl FnOnce(&mut Context)) -> (Source, crate::Compilation) {
    let source = Source::new("f", text);
    let mut context = Context::of(Event::Push);
    context.branch = Some("dev".to_owned());
    change(&mut context);
    let options = Options {
        context: Some(context),
        not_yet: Severity::Warning,
        ..Options::default()
    };
    let compilation = compile_with(&source, &options);
    (source, compilation)
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.jobs.iter().map(|job| job.id.as_str()).collect()
}

#[test]
fn exclusions_come_before_inclusions_which_extend_or_add() {
    let plan = plan(
        "image: host
jobs:
  test:
    matrix:
      rust: [1.90, beta]
      os: [a, b]
      exclude: [{ rust: beta, os: a }]
      include:
        - { rust: beta, extra: x }
        - { rust: nightly, os: b, allow_failure: true }
      fail_fast: false
      max_parallel: 2
    env: { RUST: '${{ matrix.rust }}' }
    steps: [{ run: 'echo ${{ matrix.os }}' }]
  after:
    needs: [test]
    steps: [{ run: x }]
",
    );
    let shown: Vec<String> = plan
        .jobs
        .iter()
        .map(|job| {
            format!(
                "{} {} {}",
                job.id,
                job.allow_failure,
                job.steps[0]
                    .command
                    .env
                    .values()
                    .map(ToString::to_string)
                    .collect::<String>()
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    test (1.90, a) false 1.90
    test (1.90, b) false 1.90
    test (beta, b, x) false beta
    test (nightly, b) true nightly
    after false
    "#);
    assert_eq!(plan.jobs[4].needs, ids(&plan)[..4]);
    let cell = plan.jobs[0].cell.as_ref().unwrap();
    assert_eq!(
        (cell.fail_fast, cell.max_parallel.map(Into::into)),
        (false, Some(2))
    );
}

#[test]
fn what_can_be_decided_is_decided_and_says_why() {
    let plan = plan(
        "image: host
jobs:
  deploy:
    if: branch == 'main' && event == 'push'
    steps: [{ run: x }]
  here:
    if: event == 'push'
    steps:
      - { name: a, run: x }
      - { name: b, if: steps.a.outputs.go == 'yes', run: y }
      - { name: c, if: branch == 'dev' && failure(), run: z }
",
    );
    let conditions = plan
        .jobs
        .iter()
        .map(|job| &job.condition)
        .chain(plan.jobs[1].steps.iter().map(|step| &step.condition));
    let shown: Vec<String> = conditions
        .map(|c| serde_json::to_string(c).unwrap())
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    {"kind":"never","reason":"if: branch == 'main' && event == 'push' is false: branch is \"dev\", event is \"push\""}
    {"kind":"success"}
    {"kind":"success"}
    {"kind":"when","expression":"steps.a.outputs.go == 'yes'"}
    {"kind":"when","expression":"branch == 'dev' && failure()"}
    "#);
}

#[test]
fn a_branch_that_looks_like_an_expression_stays_a_text() {
    let plan = with(
        "image: host\nenv: { B: '${{ branch }}' }\nsteps: [{ run: x }]\n",
        |context| context.branch = Some("${{ env.TOKEN }}".to_owned()),
    );
    let value = &plan.jobs[0].steps[0].command.env["B"];
    assert_eq!(value.as_literal(), Some("${{ env.TOKEN }}"));
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[test]
fn filters_decide_when_they_are_asked() {
    let text = "image: host
on:
  push: { branches: [main, 'release/**'], paths: ['src/**', '!**/*.md'] }
  pull_request: { branches: [main] }
steps: [{ run: x }]
";
    let told = |change: &dyn Fn(&mut Context)| {
        let plan = with(text, |context| {
            context.filtered = true;
            change(context);
        });
        plan.not_triggered.unwrap_or_else(|| "starts".to_owned())
    };
    let on = |branch: &str, paths: &[&str]| {
        let branch = branch.to_owned();
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        told(&move |context| {
            context.branch = Some(branch.clone());
            context.changed = Some(paths.clone());
        })
    };
    let shown = [
        told(&|_| {}),
        on("main", &["src/a.rs"]),
        on("release/1/2", &["src/a.md", "src/a.rs"]),
        on("main", &["src/a.md", "docs/x"]),
        told(&|context| {
            context.event = Event::PullRequest;
            context.base = Some("main".to_owned());
        }),
        told(&|context| context.event = Event::Tag),
        told(&|context| context.event = Event::Manual),
    ];
    insta::assert_snapshot!(shown.join("\n"), @r#"
    `on.push.branches` is [main, release/**], and this is "dev"
    starts
    starts
    `on.push.paths` is [src/**, !**/*.md], and none of the changed files is among them
    starts
    `on` does not name the event tag
    starts
    "#);
    assert_eq!(with(text, |_| {}).not_triggered, None);
}

#[test]
fn inputs_have_types_and_defaults() {
    let text = "image: host
on:
  manual:
    inputs:
      level: { type: choice, options: [patch, minor], default: patch }
      count: { type: number }
      dry: { type: boolean, default: true }
env: { L: '${{ inputs.level }}', C: '${{ inputs.count + 1 }}', D: '${{ !inputs.dry }}' }
steps: [{ run: x }]
";
    let given = |inputs: &[(&str, &str)]| {
        let inputs = inputs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        compiled(text, |context| context.inputs = inputs)
    };
    let (_, compilation) = given(&[("level", "minor"), ("count", "2")]);
    let plan = compilation.plan.unwrap();
    let env = plan.jobs[0].steps[0].command.env.values();
    assert_eq!(
        env.map(ToString::to_string).collect::<Vec<_>>(),
        ["minor", "3", "false"]
    );
    let (source, compilation) = given(&[("level", "major"), ("count", "x"), ("lvel", "1")]);
    insta::assert_snapshot!(render::human(&source, &compilation.diagnostics, false), @r#"
    error[bad-input]: the pipeline declares no input `lvel`
     --> f:1:1
      |
    1 | image: host
      | ^
      |
      = help: did you mean `level`?

    error[bad-input]: the input `level`: `major` is none of `patch`, `minor`
     --> f:5:7
      |
    5 |       level: { type: choice, options: [patch, minor], default: patch }
      |       ^^^^^

    error[bad-input]: the input `count`: `x` is not a whole number
     --> f:6:7
      |
    6 |       count: { type: number }
      |       ^^^^^

    error[bad-expression]: `inputs.count + 1`: `+` cannot take null and a whole number
     --> f:8:37
      |
    8 | env: { L: '${{ inputs.level }}', C: '${{ inputs.count + 1 }}', D: '${{ !inputs.dry }}' }
      |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn expressions_are_checked_where_they_stand() {
    insta::assert_snapshot!(refusal("image: ${{ matrix.imge }}
jobs:
  one:
    matrix: { image: [a, b], n: [1, 2] }
    if: branch
    image: ${{ matrix.imge }}
    steps:
      - { name: build, run: x }
      - run: echo ${{ steps.biuld.outputs.x }} ${{ needs.two.outputs.y }}
      - { if: 'matrix.n == \"1\"', run: y }
      - { name: late, needs: [later], run: z }
      - { name: later, needs: [late], run: z }
"), @r#"
    error[bad-expression]: `branch` is a string, and `if` wants true or false
     --> f:5:9
      |
    5 |     if: branch
      |         ^^^^^^
      |
      = help: compare it: branch != ""

    error[bad-expression]: the matrix has no axis `imge`
     --> f:6:23
      |
    6 |     image: ${{ matrix.imge }}
      |                       ^^^^
      |
      = help: did you mean `image`?

    error[bad-expression]: no step before this is called `biuld`
     --> f:9:23
      |
    9 |       - run: echo ${{ steps.biuld.outputs.x }} ${{ needs.two.outputs.y }}
      |                       ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `build`?

    error[bad-expression]: this job needs no job `two`
     --> f:9:58
      |
    9 |       - run: echo ${{ steps.biuld.outputs.x }} ${{ needs.two.outputs.y }}
      |                                                          ^^^

    error[bad-expression]: `matrix.n` is a whole number and `"1"` is a string: they are never equal
      --> f:10:16
       |
    10 |       - { if: 'matrix.n == "1"', run: y }
       |                ^^^^^^^^^^^^^^^
       |
       = help: write the number in quotes, or convert with `int(..)`

    error[cycle]: steps need each other in a circle: `late -> later -> late`
      --> f:11:31
       |
    11 |       - { name: late, needs: [later], run: z }
       |                               ^^^^^ `late` needs `later`
    12 |       - { name: later, needs: [late], run: z }
       |                                ---- `later` needs `late`
       |
       = help: none of them could ever start: remove one of these needs
    "#);
}

#[test]
fn a_script_with_a_value_that_others_choose_is_warned_of() {
    let (source, compilation) = compiled(
        "image: host\nsteps:\n  - run: git log ${{ branch }}\n  - { run: 'git log \"$B\"', env: { B: '${{ branch }}' } }\n",
        |_| {},
    );
    insta::assert_snapshot!(render::human(&source, &compilation.diagnostics, false), @r#"
    warning[template-injection]: the script contains the value of `branch`, which is run as part of it
     --> f:3:22
      |
    3 |   - run: git log ${{ branch }}
      |                      ^^^^^^
      |
      = help: hand it over in the environment: `env: { VALUE: "${{ branch }}" }`, and write "$VALUE"
    "#);
}

#[test]
fn a_matrix_has_cells_and_not_too_many() {
    insta::assert_snapshot!(refusal("image: host
jobs:
  none: { matrix: { a: [1], exclude: [{ a: 1 }] }, steps: [{ run: x }] }
  empty: { matrix: { a: [] }, steps: [{ run: x }] }
  typo: { matrix: { a: [1], exclude: [{ b: 1 }], fail-fast: false }, steps: [{ run: x }] }
"), @r#"
    error[bad-matrix]: the axis `a` has no values
     --> f:4:25
      |
    4 |   empty: { matrix: { a: [] }, steps: [{ run: x }] }
      |                         ^^

    error[bad-matrix]: `exclude` names `b`, which is no axis of the matrix
     --> f:5:19
      |
    5 |   typo: { matrix: { a: [1], exclude: [{ b: 1 }], fail-fast: false }, steps: [{ run: x }] }
      |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[unknown-key]: a matrix has no key `fail-fast`
     --> f:5:50
      |
    5 |   typo: { matrix: { a: [1], exclude: [{ b: 1 }], fail-fast: false }, steps: [{ run: x }] }
      |                                                  ^^^^^^^^^ did you mean `fail_fast`?
    "#);
    let axis: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let axis = axis.join(", ");
    let text = |axes: &str| {
        format!("image: host\njobs:\n  j: {{ matrix: {{ {axes} }}, steps: [{{ run: x }}] }}\n")
    };
    insta::assert_snapshot!(refusal(&text(&format!("a: [{axis}], b: [{axis}]"))).lines().next().unwrap(), @r#"error[bad-matrix]: the matrix of `j` has 10000 combinations before any is excluded; at most 4096 are looked at"#);
    insta::assert_snapshot!(refusal(&text(&format!("a: [{axis}], b: [1,2,3,4,5,6,7,8,9,10,11]"))).lines().next().unwrap(), @r#"error[too-many-jobs]: the pipeline has more than the 1024 jobs that it may have, every cell of a matrix counted"#);
}

#[test]
fn what_always_holds_is_still_asked_after_a_failure() {
    let source = Source::new(
        "f.yml",
        "image: host\nsteps: [{ run: x, if: always() }, { run: y, if: always() || branch == \"b\" }, { run: z, if: 1 == 1 }]\n",
    );
    let plan = compile_with(&source, &Options::default()).plan.unwrap();
    let asked =
        |step: &crate::plan::Step| matches!(step.condition, crate::plan::Condition::When { .. });
    let asked: Vec<bool> = plan.jobs[0].steps.iter().map(asked).collect();
    assert_eq!(asked, [true, true, false]);
}

#[test]
fn of_names_that_are_as_close_the_first_is_suggested_every_time() {
    let steps: String = ["f", "e", "d", "c", "b", "a"]
        .map(|end| format!("  - {{ name: test-{end}, run: x }}\n"))
        .concat();
    let text = format!(
        "image: host\nsteps:\n{steps}  - run: echo ${{{{ steps[\"test-x\"].conclusion }}}}\n"
    );
    let refusal = refusal(&text);
    assert!(refusal.contains("did you mean `test-f`?"), "{refusal}");
}

#[test]
fn only_outputs_that_a_job_has_are_read() {
    insta::assert_snapshot!(refusal("image: host
jobs:
  one:
    outputs: { version: '1.0' }
    steps: [{ run: x }]
  two:
    needs: [one]
    if: ${{ needs.one.outputs.go == 'yes' }}
    env: { V: '${{ needs.one.outputs.versoin }}', W: '${{ needs.one.outputs.version }}' }
    steps: [{ run: y, if: has(needs.one.outputs.other) }]
"), @r"
    error[bad-expression]: the job `one` has no output `go`
     --> f:8:13
      |
    8 |     if: ${{ needs.one.outputs.go == 'yes' }}
      |             ^^^^^^^^^^^^^^^^^^^^
      |
      = help: say what it is under `outputs` of `one`

    error[bad-expression]: the job `one` has no output `versoin`
     --> f:9:20
      |
    9 |     env: { V: '${{ needs.one.outputs.versoin }}', W: '${{ needs.one.outputs.version }}' }
      |                    ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `version`?

    error[bad-expression]: the job `one` has no output `other`
      --> f:10:31
       |
    10 |     steps: [{ run: y, if: has(needs.one.outputs.other) }]
       |                               ^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: say what it is under `outputs` of `one`
    ");
}
