//! What is an expression, and what is said of a text that is none.

use insta::assert_snapshot;
use pipelines::expression::{Expression, PatternFunction};

use crate::facts::{marked, table};

fn read(text: &str) -> String {
    match Expression::parse(text) {
        Ok(expression) => expression.source().to_owned(),
        Err(mistake) => marked(text, &mistake),
    }
}

#[test]
fn slips_of_syntax_are_pointed_at() {
    assert_snapshot!(table(r#"
        branch = "main"
        branch == "main" and event == "push"
        branch == "main" or true
        event is "push"
        branch ==
        branch == "main" &&
        (branch == "main"
        branch == "main")
        "main
        'main
        $branch == "main"
        ${{ branch }}
        “main” == branch
        branch == main
        has(env)
        [1, 2
        {"a" 1}
        {"a": 1,}
        [1, 2,]
        matrix.
        matrix.in
        env["A"
        a ? b
        true ? 1
        1 2
        é
        if
        1u
        1.5.5
        0x
        12ab
        99999999999999999999
        1e999
        b"bytes"
        "\q"
        "\ud800"
        "\x4"
        Foo{a: 1}
        .branch
        true & false
        !
        - 
    "#, read), @r#"
    branch = "main"
        mistake at "=": unexpected '=' (`==` compares)
    branch == "main" and event == "push"
        mistake at "and": unexpected `and` behind the expression (`&&` is true when both sides are)
    branch == "main" or true
        mistake at "or": unexpected `or` behind the expression (`||` is true when one side is)
    event is "push"
        mistake at "is": unexpected `is` behind the expression (`==` compares)
    branch ==
        mistake at "": expected a value, but the expression ends here
    branch == "main" &&
        mistake at "": expected a value, but the expression ends here
    (branch == "main"
        mistake at "": expected `)`, but the expression ends here
    branch == "main")
        mistake at ")": unexpected `)` behind the expression
    "main
        mistake at "\"main": a string without an end (close it with the same quotes)
    'main
        mistake at "'main": a string without an end (close it with the same quotes)
    $branch == "main"
        mistake at "$": unexpected '$' (inside an expression a variable has no `$`: `branch`, `env.NAME`)
    ${{ branch }}
        mistake at "$": unexpected '$' (inside an expression a variable has no `$`: `branch`, `env.NAME`)
    “main” == branch
        mistake at "“": unexpected '“' (strings stand in ".." or '..')
    branch == main
        mistake at "main": no variable is called `main` (there are event, branch, base, tag, commit, repo, matrix, env, inputs, needs, steps, job; a string stands in quotes)
    has(env)
        mistake at "has": `has` takes a member of a map (write `has(env.NAME)`, or `"any name" in env`)
    [1, 2
        mistake at "": expected `,` or `]`, but the expression ends here
    {"a" 1}
        mistake at "1": expected `:` behind the key, found `1`
    {"a": 1,}
        {"a": 1,}
    [1, 2,]
        [1, 2,]
    matrix.
        mistake at "": expected a name behind the point, but the expression ends here
    matrix.in
        mistake at "in": `in` is no name here (write it in brackets: ["in"])
    env["A"
        mistake at "": expected `]`, but the expression ends here
    a ? b
        mistake at "a": no variable is called `a` (there are event, branch, base, tag, commit, repo, matrix, env, inputs, needs, steps, job; a string stands in quotes)
    true ? 1
        mistake at "": expected `:` and what to take otherwise, but the expression ends here
    1 2
        mistake at "2": unexpected `2` behind the expression
    é
        mistake at "é": unexpected 'é'
    if
        mistake at "if": expected a value, found the reserved word `if`
    1u
        mistake at "1u": `1u` is no number (there are no unsigned numbers here: leave the `u` out)
    1.5.5
        mistake at ".5": unexpected `.5` behind the expression
    0x
        mistake at "0x": `0x` is no number
    12ab
        mistake at "12ab": `12ab` is no number
    99999999999999999999
        mistake at "99999999999999999999": a whole number beyond 64 bits
    1e999
        mistake at "1e999": a number too large
    b"bytes"
        mistake at "b\"bytes\"": byte strings are not supported (leave the `b` out)
    "\q"
        mistake at "\\q": an escape that means nothing (`\\` is a backslash; r".." takes them as they are)
    "\ud800"
        mistake at "\\u": an escape that means nothing (`\\` is a backslash; r".." takes them as they are)
    "\x4"
        mistake at "\\x": an escape that means nothing (`\\` is a backslash; r".." takes them as they are)
    Foo{a: 1}
        mistake at "Foo": no variable is called `Foo` (there are event, branch, base, tag, commit, repo, matrix, env, inputs, needs, steps, job; a string stands in quotes)
    .branch
        mistake at ".": expected a value, found `.`
    true & false
        mistake at "&": unexpected '&' (`&&` is true when both sides are)
    !
        mistake at "": expected a value, but the expression ends here
    -
        mistake at "": expected a value, but the expression ends here
    "#);
    assert_snapshot!(read(""), @r#"mistake at "": expected a value, but the expression ends here"#);
}

#[test]
fn names_that_do_not_exist_are_told_with_the_one_that_was_meant() {
    assert_snapshot!(table(r#"
        brnch == "main"
        Branch == "main"
        github.ref == "main"
        matrx.rust == "1"
        failed()
        succes()
        success
        contains(branch, "x")
        branch.starts_with("x")
        branch.startswith("x")
        branch.includes("x")
        branch.success()
        size
        timestamp("x")
        steps.a.outputz
        job.name
    "#, read), @r#"
    brnch == "main"
        mistake at "brnch": no variable is called `brnch` (did you mean `branch`?)
    Branch == "main"
        mistake at "Branch": no variable is called `Branch` (did you mean `branch`?)
    github.ref == "main"
        mistake at "github": no variable is called `github` (there are event, branch, base, tag, commit, repo, matrix, env, inputs, needs, steps, job; a string stands in quotes)
    matrx.rust == "1"
        mistake at "matrx": no variable is called `matrx` (did you mean `matrix`?)
    failed()
        mistake at "failed": no function is called `failed`
    succes()
        mistake at "succes": no function is called `succes` (did you mean `success`?)
    success
        mistake at "success": `success` is a function (call it: `success()`)
    contains(branch, "x")
        mistake at "contains": no function is called `contains` (it is written `TEXT.contains(TEXT)`)
    branch.starts_with("x")
        mistake at "starts_with": no function is called `starts_with` (did you mean `startsWith`?)
    branch.startswith("x")
        mistake at "startswith": no function is called `startswith` (did you mean `startsWith`?)
    branch.includes("x")
        mistake at "includes": no function is called `includes`
    branch.success()
        mistake at "success": no function is called `success` (it is written `success()`)
    size
        mistake at "size": `size` is a function (call it: `size(VALUE)`)
    timestamp("x")
        mistake at "timestamp": no function is called `timestamp`
    steps.a.outputz
        mistake at "outputz": `steps.a` has no key `outputz` (did you mean `outputs`?)
    job.name
        mistake at "name": `job` has no key `name` (there are: id, status)
    "#);
}

#[test]
fn wrong_arguments_are_told_with_the_right_ones() {
    assert_snapshot!(table(r#"
        success(1)
        size()
        branch.contains()
        branch.contains("a", "b")
        branch.replace("a")
        branch.contains(3)
        size(3)
        matrix.all(1, true)
        matrix.all(x)
        matrix.all(branch, true)
        matrix.all(x, x.all(x, true))
        changed()
        changed(branch)
        changed("src**")
        hash_files("a", "{b,c}")
        has(branch)
        has(branch + "x")
        has(steps["a"])
    "#, read), @r#"
    success(1)
        mistake at "success": `success` takes no argument, found 1 (success())
    size()
        mistake at "size": `size` takes one argument, found 0 (size(VALUE))
    branch.contains()
        mistake at "contains": `contains` takes one argument, found 0 (TEXT.contains(TEXT))
    branch.contains("a", "b")
        mistake at "contains": `contains` takes one argument, found 2 (TEXT.contains(TEXT))
    branch.replace("a")
        mistake at "replace": `replace` takes 2 arguments, found 1 (TEXT.replace(OLD, NEW))
    branch.contains(3)
        mistake at "3": `3` is a whole number, and `contains` wants a string
    size(3)
        mistake at "3": `3` is a whole number, and `size` wants a string, a list or a map
    matrix.all(1, true)
        mistake at "1": expected a name for the element: LIST.all(x, CONDITION), found `1`
    matrix.all(x)
        mistake at ")": expected `,`, found `)`
    matrix.all(branch, true)
        mistake at "branch": `branch` has a meaning already (a name for the element: LIST.all(x, CONDITION))
    matrix.all(x, x.all(x, true))
        mistake at "x": `x` has a meaning already (a name for the element: LIST.all(x, CONDITION))
    changed()
        mistake at "changed": `changed` takes 1 to 64 arguments, found 0 (changed("GLOB", ..))
    changed(branch)
        mistake at "branch": a glob has to be written out, in quotes (files are looked at before anything is evaluated)
    changed("src**")
        mistake at "\"src**\"": `**` stands for whole directories (write `dir/**`, `**/name` or `a/**/b`; inside a name `*` is enough)
    hash_files("a", "{b,c}")
        mistake at "\"{b,c}\"": globs know no `{..}` (write one glob for each; `\{` is the character)
    has(branch)
        mistake at "has": `has` takes a member of a map (write `has(env.NAME)`, or `"any name" in env`)
    has(branch + "x")
        mistake at "has": `has` takes a member of a map (write `has(env.NAME)`, or `"any name" in env`)
    has(steps["a"])
        mistake at "has": `has` takes a member of a map (write `has(env.NAME)`, or `"any name" in env`)
    "#);
}

#[test]
fn references_name_their_paths_and_places() {
    let source = r#"steps["unit tests"].outputs.x == env.A && matrix[inputs.axis].b && ["x"].all(e, e in needs.a["outputs"].c.split(x))"#;
    let source = source.replace("split(x)", "split(repo)");
    let expression = Expression::parse(&source).unwrap();
    let references: Vec<_> = expression
        .references()
        .map(|reference| {
            format!(
                "{} at {}",
                reference.path.join(" / "),
                &source[reference.range]
            )
        })
        .collect();
    assert_snapshot!(references.join("\n"), @r#"
    steps / unit tests / outputs / x at steps["unit tests"].outputs.x
    env / A at env.A
    inputs / axis at inputs.axis
    matrix at matrix
    repo at repo
    needs / a / outputs / c at needs.a["outputs"].c
    "#);
}

#[test]
fn globs_and_questions_of_status_are_known_before_anything_is_evaluated() {
    let source = r#"changed("src/**", "!docs/**") && hash_files("Cargo.lock") != """#;
    let expression = Expression::parse(source).unwrap();
    assert!(!expression.uses_status());
    let patterns: Vec<_> = expression.patterns().collect();
    assert_eq!(patterns[0].function, PatternFunction::Changed);
    assert_eq!(patterns[0].globs, ["src/**", "!docs/**"]);
    assert_eq!(
        &source[patterns[0].range.clone()],
        r#"changed("src/**", "!docs/**")"#
    );
    assert_eq!(patterns[1].function, PatternFunction::HashFiles);
    for status in [
        "success()",
        "!failure()",
        "[1].all(x, always())",
        "cancelled() ? 1 : 2",
    ] {
        assert!(Expression::parse(status).unwrap().uses_status());
    }
}

#[test]
fn an_expression_is_its_source_on_the_wire_and_is_read_again() {
    let expression = Expression::parse("branch == 'main'").unwrap();
    let json = serde_json::to_string(&expression).unwrap();
    assert_eq!(json, r#""branch == 'main'""#);
    assert_eq!(
        serde_json::from_str::<Expression>(&json).unwrap(),
        expression
    );
    let error = serde_json::from_str::<Expression>(r#""brnch""#).unwrap_err();
    assert_snapshot!(error, @r#"in the expression "brnch": no variable is called `brnch`"#);
}
