use crate::{
    Overrides, Source, compile,
    expression::Template,
    plan::{Action, Step},
};

fn literal(template: &Template) -> String {
    template.as_literal().expect("no expression").to_owned()
}

/// The only step of a pipeline, which has these lines.
fn step(lines: &str) -> Step {
    let source = Source::new(
        "f",
        format!(
            "image: host\nsteps:\n  - {}\n",
            lines.replace('\n', "\n    ")
        ),
    );
    let compilation = compile(&source, &Overrides::default());
    let plan = compilation
        .plan
        .unwrap_or_else(|| panic!("{:#?}", compilation.diagnostics));
    plan.jobs[0].steps[0].clone()
}

/// Its action.
fn action(lines: &str) -> Action<String> {
    step(lines).command.map(&mut literal).action
}

fn script(lines: &str) -> (String, Vec<String>) {
    match action(lines) {
        Action::Script { script, shell } => (script, shell),
        Action::Entrypoint { .. } => panic!("a script is expected"),
    }
}

#[test]
fn a_list_of_commands_is_one_script_and_scalars_stay_as_they_were_written() {
    assert_eq!(
        script("run: [make, true, 1.90, ~x]").0,
        "make\ntrue\n1.90\n~x"
    );
    assert_eq!(script("run: true").0, "true");
    assert_eq!(script("run: |\n  a\n  b").0, "a\nb\n");
}

#[test]
fn known_shells_stop_at_the_first_failure_and_lists_are_taken_as_they_are() {
    assert_eq!(script("run: x").1, ["sh", "-e"]);
    assert_eq!(script("run: x\nshell: bash").1, ["bash", "-e"]);
    assert_eq!(script("run: x\nshell: /bin/zsh").1, ["/bin/zsh", "-e"]);
    assert_eq!(script("run: x\nshell: python3").1, ["python3"]);
    assert_eq!(
        script("run: x\nshell: [bash, -eo, pipefail]").1,
        ["bash", "-eo", "pipefail"]
    );
    assert_eq!(script("run: x\nshell: [bash]").1, ["bash"]);
}

#[test]
fn a_step_with_its_own_image_and_no_run_runs_the_entrypoint() {
    assert_eq!(
        action("image: plugin"),
        Action::Entrypoint { args: Vec::new() }
    );
}
