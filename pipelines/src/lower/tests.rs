use indexmap::IndexMap;

use crate::{Code, Compilation, Overrides, Source, compile};

fn compiled(text: &str, overrides: &Overrides) -> Compilation {
    compile(&Source::new("f", text), overrides)
}

const FULL: &str = "
name: ci
image: debian
env: { A: pipeline, B: pipeline, C: yes }
timeout: 1h
user: 1000
jobs:
  build:
    env: { B: job, D: 1.90 }
    workdir: crates
    steps:
      - run: make
      - run: make
        image: host
        env: { A: step }
        user: root
        timeout: 90s
        allow_failure: true
  test:
    needs: [build, build]
    timeout: 10m
    allow_failure: true
    shell: bash
    steps:
      - name: all
        run: make test
";

#[test]
fn defaults_are_filled_in_and_inner_values_win() {
    let plan = compiled(FULL, &Overrides::default()).plan.unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap(), @r#"
    {
      "name": "ci",
      "jobs": [
        {
          "id": "build",
          "place": {
            "file": "f",
            "line": 8
          },
          "needs": [],
          "timeout": {
            "secs": 3600,
            "nanos": 0
          },
          "allow_failure": false,
          "steps": [
            {
              "name": "make",
              "place": {
                "file": "f",
                "line": 12
              },
              "needs": [],
              "image": "debian",
              "action": {
                "kind": "script",
                "script": "make",
                "shell": [
                  "sh",
                  "-e"
                ]
              },
              "env": {
                "A": "pipeline",
                "B": "job",
                "C": "yes",
                "D": "1.90"
              },
              "workdir": "crates",
              "user": "1000",
              "allow_failure": false
            },
            {
              "name": "make (2)",
              "place": {
                "file": "f",
                "line": 13
              },
              "needs": [
                "make"
              ],
              "image": "host",
              "action": {
                "kind": "script",
                "script": "make",
                "shell": [
                  "sh",
                  "-e"
                ]
              },
              "env": {
                "A": "step",
                "B": "job",
                "C": "yes",
                "D": "1.90"
              },
              "workdir": "crates",
              "user": "root",
              "timeout": {
                "secs": 90,
                "nanos": 0
              },
              "allow_failure": true
            }
          ]
        },
        {
          "id": "test",
          "place": {
            "file": "f",
            "line": 19
          },
          "needs": [
            "build"
          ],
          "timeout": {
            "secs": 600,
            "nanos": 0
          },
          "allow_failure": true,
          "steps": [
            {
              "name": "all",
              "place": {
                "file": "f",
                "line": 25
              },
              "needs": [],
              "image": "debian",
              "action": {
                "kind": "script",
                "script": "make test",
                "shell": [
                  "bash",
                  "-e"
                ]
              },
              "env": {
                "A": "pipeline",
                "B": "pipeline",
                "C": "yes"
              },
              "user": "1000",
              "allow_failure": false
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn overrides_win_over_everything() {
    let env = IndexMap::from([
        ("A".to_owned(), "given".to_owned()),
        ("Z".to_owned(), "new".to_owned()),
    ]);
    let overrides = Overrides {
        image: Some("other".to_owned()),
        env,
        ..Overrides::default()
    };
    let plan = compiled(FULL, &overrides).plan.unwrap();
    let steps: Vec<_> = plan.jobs.iter().flat_map(|job| &job.steps).collect();
    assert!(steps.iter().all(|step| step.command.image == "other".into()
        && step.command.env["A"] == "given".into()
        && step.command.env["Z"] == "new".into()));
    assert_eq!(
        steps[1].command.env.keys().collect::<Vec<_>>(),
        ["A", "B", "C", "D", "Z"]
    );
}

#[test]
fn an_override_serves_a_pipeline_without_any_image() {
    let text = "steps: [{ run: make }]";
    assert!(compiled(text, &Overrides::default()).plan.is_none());
    let overrides = Overrides {
        image: Some("host".to_owned()),
        ..Overrides::default()
    };
    assert_eq!(
        compiled(text, &overrides).plan.unwrap().jobs[0].steps[0]
            .command
            .image,
        "host".into()
    );
}

#[test]
fn unnamed_steps_are_named_after_their_script_and_numbered() {
    let text = "
image: host
steps:
  - run: make
  - run: [make, make test]
  - { name: make (2), run: x }
  - run: |

      make
  - run: \"\\ta\\tb\"
  - image: plugin
  - run: echo 3456789012345678901234567890123456789012345678901234567890
";
    let plan = compiled(text, &Overrides::default()).plan.unwrap();
    let steps = &plan.jobs[0].steps;
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "make",
            "make (3)",
            "make (2)",
            "make (4)",
            "a b",
            "plugin",
            "echo 3456789012345678901234567890123456789012345678901234567…"
        ]
    );
    assert!(steps[0].needs.is_empty());
    assert!(
        steps
            .windows(2)
            .all(|pair| pair[1].needs == [pair[0].name.clone()])
    );
}

#[test]
fn a_small_file_cannot_ask_for_a_huge_plan() {
    let mut text = format!(
        "image: host\nenv: {{ A: {} }}\nsteps:\n",
        "x".repeat(100_000)
    );
    text.push_str(&"  - run: x\n".repeat(1_000));
    let compilation = compiled(&text, &Overrides::default());
    assert!(compilation.plan.is_none());
    assert_eq!(compilation.diagnostics[0].code, Code::TooComplex);
}

#[test]
fn jobs_and_steps_are_limited() {
    let jobs = |count| {
        (0..count)
            .map(|n| format!("  j{n}: {{ steps: [{{ run: x }}] }}\n"))
            .collect::<String>()
    };
    let pipeline = |count| {
        compiled(
            &format!("image: host\njobs:\n{}", jobs(count)),
            &Overrides::default(),
        )
    };
    assert_eq!(pipeline(1_024).plan.unwrap().jobs.len(), 1_024);
    assert_eq!(pipeline(1_025).diagnostics[0].code, Code::TooManyJobs);
    let steps = |count| {
        compiled(
            &format!("image: host\nsteps:\n{}", "- run: x\n".repeat(count)),
            &Overrides::default(),
        )
    };
    assert_eq!(steps(1_024).plan.unwrap().jobs[0].steps.len(), 1_024);
    assert_eq!(steps(1_025).diagnostics[0].code, Code::TooManySteps);
}
