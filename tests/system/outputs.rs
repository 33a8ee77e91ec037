//! What steps and jobs leave for those after them.

use harness::{TestEnvironment, for_everyone, for_one_user};

use crate::support::run_local;

for_everyone!(
    outputs_and_variables_reach_later_steps_and_jobs,
    the_files_are_harmless_whatever_a_step_does_to_them,
);

for_one_user!(what_cannot_be_understood_fails_its_step_by_name,);

fn outputs_and_variables_reach_later_steps_and_jobs(env: &TestEnvironment) {
    env.pipeline(
        r#"
image: host
jobs:
  build:
    outputs: { version: "v${{ steps.count.outputs.version }}", lines: "${{ steps.count.outputs.lines }}" }
    steps:
      - name: count
        run: |
          echo version=1.2 >> "$SLIPWAY_OUTPUT"
          printf 'lines<<END\none\ntwo\nEND\n' >> "$SLIPWAY_OUTPUT"
          echo FLAVOUR=vanilla >> "$SLIPWAY_ENV"
          echo OTHER=left >> "$SLIPWAY_ENV"
      - name: next
        if: steps.count.outputs.version == "1.2" && env.FLAVOUR == "vanilla"
        env: { OTHER: own }
        run: 'echo "${{ steps.count.outputs.version }} $FLAVOUR $OTHER"; cat "$SLIPWAY_OUTPUT"'
      - name: fails
        allow_failure: true
        run: echo why=reason >> "$SLIPWAY_OUTPUT"; exit 1
      - name: told
        run: 'echo "${{ steps.fails.outputs.why }}"'
  deploy:
    needs: [build]
    env: { LINES_: "${{ needs.build.outputs.lines }}" }
    steps:
      - name: show
        run: 'echo "${{ needs.build.outputs.version }} $LINES_ ${FLAVOUR-none}"'
"#,
    );
    let done = run_local(env, &["--json"]).expect(0);
    assert_eq!(done.log("next"), "1.2 vanilla own\n");
    assert_eq!(done.log("told"), "reason\n");
    assert_eq!(done.log("show"), "v1.2 one\ntwo none\n");
}

fn what_cannot_be_understood_fails_its_step_by_name(env: &TestEnvironment) {
    for (script, message) in [
        (
            "echo nonsense >> $SLIPWAY_OUTPUT",
            "$SLIPWAY_OUTPUT: line 1: it is neither",
        ),
        (
            "echo 1A=x >> $SLIPWAY_ENV",
            "$SLIPWAY_ENV: line 1: a name has letters",
        ),
        (
            "head -c 2000000 /dev/zero >> $SLIPWAY_OUTPUT",
            "$SLIPWAY_OUTPUT: it has more than 1048576 bytes",
        ),
    ] {
        env.pipeline(&format!(
            "image: host\nsteps: [{{ name: step, run: '{script}' }}, {{ name: after, run: echo never }}]\n"
        ));
        let _ = run_local(env, &[])
            .expect(1)
            .says(message)
            .does_not_say("never\n");
    }
    env.pipeline(
        "image: host\njobs:\n  build:\n    outputs: { a: '${{ steps.step.outputs.missing }}' }\n    steps: [{ name: step, run: 'true' }]\n",
    );
    let _ = run_local(env, &[])
        .expect(1)
        .says(".pipeline.yml:3: output `a`:");
}

fn the_files_are_harmless_whatever_a_step_does_to_them(env: &TestEnvironment) {
    env.write("private", "name=machine\n");
    let private = env.root().join("private");
    env.pipeline(&format!(
        r#"
image: host
steps:
  - name: link
    run: rm "$SLIPWAY_OUTPUT" "$SLIPWAY_ENV" "$SLIPWAY_MASK"; ln -s {private} "$SLIPWAY_OUTPUT"; mkfifo "$SLIPWAY_ENV"; mkdir "$SLIPWAY_MASK"
  - name: other
    run: 'echo "$SLIPWAY_OUTPUT"; ls -l "$SLIPWAY_OUTPUT" | cut -c 1-10; echo a=1 > "$SLIPWAY_OUTPUT"'
  - name: fresh
    run: 'wc -c < "$SLIPWAY_OUTPUT"; echo "${{{{ steps.other.outputs.a }}}}"'
"#,
        private = private.display()
    ));
    let done = run_local(env, &["--json"]).expect(0);
    assert_eq!(done.log("other"), "/run/slipway/output\n-rw-rw-rw-\n");
    assert_eq!(done.log("fresh"), "0\n1\n");
}
