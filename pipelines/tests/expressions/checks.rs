//! What is wrong although it can be read.

use insta::assert_snapshot;
use pipelines::expression::{Expression, Type, Untyped};

use crate::facts::{Shapes, marked, shapes, table};

fn condition(text: &str) -> String {
    checked(text, &shapes(), Expression::check_condition)
}

fn checked(
    text: &str,
    shapes: &Shapes,
    check: impl Fn(
        &Expression,
        &dyn pipelines::expression::Types,
    ) -> Vec<pipelines::expression::Mistake>,
) -> String {
    let mistakes = match Expression::parse(text) {
        Ok(expression) => check(&expression, shapes),
        Err(mistake) => vec![mistake],
    };
    let mistakes: Vec<_> = mistakes
        .iter()
        .map(|mistake| marked(text, mistake))
        .collect();
    if mistakes.is_empty() {
        "fine".to_owned()
    } else {
        mistakes.join("\n")
    }
}

#[test]
fn a_condition_that_is_never_true_or_false_is_a_mistake() {
    assert_snapshot!(table(r#"
        branch
        matrix.rust && success()
        success() || branch
        !branch
        branch == "main" ? "yes" : "no"
        matrix.jobs
        matrix.full
        matrix.full && !failure()
        branch == "main" ? matrix.full : event == "push"
        env.CI
        [1, 2]
        null
    "#, condition), @r#"
    branch
        mistake at "branch": `branch` is a string, and `if` wants true or false (compare it: branch != "")
    matrix.rust && success()
        mistake at "matrix.rust": `matrix.rust` is a string, and `&&` wants true or false (compare it: matrix.rust != "")
    success() || branch
        mistake at "branch": `branch` is a string, and `||` wants true or false (compare it: branch != "")
    !branch
        mistake at "branch": `branch` is a string, and `!` wants true or false (compare it: branch != "")
    branch == "main" ? "yes" : "no"
        mistake at "branch == \"main\" ? \"yes\" : \"no\"": `branch == "main" ? "yes" : "no"` is a string, and `if` wants true or false (compare it: branch == "main" ? "yes" : "no" != "")
    matrix.jobs
        mistake at "matrix.jobs": `matrix.jobs` is a whole number, and `if` wants true or false
    matrix.full
        fine
    matrix.full && !failure()
        fine
    branch == "main" ? matrix.full : event == "push"
        fine
    env.CI
        mistake at "env.CI": `env.CI` is a string, and `if` wants true or false (compare it: env.CI != "")
    [1, 2]
        mistake at "[1, 2]": `[1, 2]` is a list, and `if` wants true or false
    null
        mistake at "null": `null` is null, and `if` wants true or false
    "#);
}

#[test]
fn comparisons_that_never_hold_are_mistakes() {
    assert_snapshot!(table(r#"
        branch == 3
        matrix.rust == 1.90
        matrix.jobs == "4"
        branch == null
        matrix.full != "true"
        matrix.jobs == 4.0
        matrix.jobs < "4"
        branch < tag
        branch in "main"
        "main" in [branch, tag]
        3 in [branch]
        3 in matrix
        "rust" in matrix
        [1] == ["a"]
        {"a": 1} == matrix
        branch + 3 == ""
        matrix.jobs + 0.5 > 1.0
        matrix.jobs * 2 > 4
        matrix.rust * 2 > 4
        -branch == ""
        -matrix.jobs < 0
        5.0 % 2.0 == 1.0
        matrix.full < true
    "#, condition), @r#"
    branch == 3
        mistake at "branch == 3": `branch` is a string and `3` is a whole number: they are never equal (write the number in quotes, or convert with `int(..)`)
    matrix.rust == 1.90
        mistake at "matrix.rust == 1.90": `matrix.rust` is a string and `1.90` is a number: they are never equal (write the number in quotes, or convert with `int(..)`)
    matrix.jobs == "4"
        mistake at "matrix.jobs == \"4\"": `matrix.jobs` is a whole number and `"4"` is a string: they are never equal (write the number in quotes, or convert with `int(..)`)
    branch == null
        mistake at "branch == null": `branch` is a string and `null` is null: they are never equal
    matrix.full != "true"
        mistake at "matrix.full != \"true\"": `matrix.full` is a boolean and `"true"` is a string: they are never equal
    matrix.jobs == 4.0
        fine
    matrix.jobs < "4"
        mistake at "matrix.jobs < \"4\"": `<` cannot take a whole number (`matrix.jobs`) and a string (`"4"`)
    branch < tag
        fine
    branch in "main"
        mistake at "branch in \"main\"": `in` cannot take a string (`branch`) and a string (`"main"`) (for a part of a string: TEXT.contains(PART))
    "main" in [branch, tag]
        fine
    3 in [branch]
        mistake at "3 in [branch]": `in` cannot take a whole number (`3`) and a list (`[branch]`)
    3 in matrix
        mistake at "3 in matrix": `in` cannot take a whole number (`3`) and a map (`matrix`)
    "rust" in matrix
        fine
    [1] == ["a"]
        mistake at "[1] == [\"a\"]": `[1]` is a list and `["a"]` is a list: they are never equal
    {"a": 1} == matrix
        fine
    branch + 3 == ""
        mistake at "branch + 3": `+` cannot take a string (`branch`) and a whole number (`3`) (`string(..)` makes a string of it)
    matrix.jobs + 0.5 > 1.0
        mistake at "matrix.jobs + 0.5": `+` cannot take a whole number (`matrix.jobs`) and a number (`0.5`) (`double(..)` converts a whole number)
    matrix.jobs * 2 > 4
        fine
    matrix.rust * 2 > 4
        mistake at "matrix.rust * 2": `*` cannot take a string (`matrix.rust`) and a whole number (`2`)
    -branch == ""
        mistake at "branch": `branch` is a string, and `-` wants a number
    -matrix.jobs < 0
        fine
    5.0 % 2.0 == 1.0
        mistake at "5.0 % 2.0": `%` cannot take a number (`5.0`) and a number (`2.0`) (`double(..)` converts a whole number)
    matrix.full < true
        fine
    "#);
}

#[test]
fn keys_that_do_not_exist_are_mistakes() {
    assert_snapshot!(table(r#"
        matrix.rsut == "x"
        matrix["rsut"] == "x"
        matrix.os == "x"
        inputs.levle == "x"
        steps.biuld.conclusion == "success"
        steps["unit test"].conclusion == "success"
        steps["unit tests"].outputs.pased == "1"
        steps.build.outputs.anything == "1"
        steps.build.result == "success"
        branch.name == "x"
        branch[0] == "m"
        [1, 2].first == 1
        [1, 2]["first"] == 1
        matrix[0] == 1
        matrix[branch] == 1
        has(matrix.rsut)
        has(branch.x)
        {"a": 1}.b == 1
    "#, condition), @r#"
    matrix.rsut == "x"
        mistake at "rsut": the matrix has no axis `rsut` (did you mean `rust`?)
    matrix["rsut"] == "x"
        mistake at "\"rsut\"": the matrix has no axis `rsut` (did you mean `rust`?)
    matrix.os == "x"
        mistake at "os": the matrix has no axis `os` (there are: rust, jobs, full)
    inputs.levle == "x"
        mistake at "levle": there is no input `levle` (did you mean `level`?)
    steps.biuld.conclusion == "success"
        mistake at "biuld": no step before this is called `biuld` (did you mean `build`?)
    steps["unit test"].conclusion == "success"
        mistake at "\"unit test\"": no step before this is called `unit test` (did you mean `unit tests`?)
    steps["unit tests"].outputs.pased == "1"
        mistake at "pased": step `unit tests` has no output `pased` (did you mean `passed`?)
    steps.build.outputs.anything == "1"
        fine
    steps.build.result == "success"
        mistake at "result": `steps.build` has no key `result` (there are: outputs, conclusion)
    branch.name == "x"
        mistake at "branch": `branch` is a string, and only a map has a member `name`
    branch[0] == "m"
        mistake at "branch": `branch` is a string, and only a list or a map can be indexed
    [1, 2].first == 1
        mistake at "[1, 2]": `[1, 2]` is a list, and only a map has a member `first`
    [1, 2]["first"] == 1
        mistake at "\"first\"": `"first"` is a string, and a list is indexed by whole numbers
    matrix[0] == 1
        mistake at "0": `0` is a whole number, and a map is indexed by strings
    matrix[branch] == 1
        fine
    has(matrix.rsut)
        fine
    has(branch.x)
        mistake at "branch": `branch` is a string, and `has` wants a map
    {"a": 1}.b == 1
        mistake at "b": `{"a": 1}` has no key `b` (there are: a)
    "#);
}

#[test]
fn types_go_through_functions_and_macros() {
    assert_snapshot!(table(r#"
        branch.size() == "4"
        [branch, tag].all(b, b == 3)
        [branch].map(b, b.size()) == ["a"]
        matrix.map(axis, axis + 1) == []
        [1, 2].filter(n, n) == []
        [1, 2].map(n, n, n) == []
        branch.exists(c, true)
        branch.split("/")[0] == 3
        branch.split("/").join("-") == 3
        [1].join() == ""
        int(branch) == "3"
        string(matrix.jobs) == "4"
        bool([]) == true
        hash_files("a") == 3
    "#, condition), @r#"
    branch.size() == "4"
        mistake at "branch.size() == \"4\"": `branch.size()` is a whole number and `"4"` is a string: they are never equal (write the number in quotes, or convert with `int(..)`)
    [branch, tag].all(b, b == 3)
        mistake at "b == 3": `b` is a string and `3` is a whole number: they are never equal (write the number in quotes, or convert with `int(..)`)
    [branch].map(b, b.size()) == ["a"]
        mistake at "[branch].map(b, b.size()) == [\"a\"]": `[branch].map(b, b.size())` is a list and `["a"]` is a list: they are never equal
    matrix.map(axis, axis + 1) == []
        mistake at "axis + 1": `+` cannot take a string (`axis`) and a whole number (`1`) (`string(..)` makes a string of it)
    [1, 2].filter(n, n) == []
        mistake at "n": `n` is a whole number, and `filter` wants true or false
    [1, 2].map(n, n, n) == []
        mistake at "n": `n` is a whole number, and the condition of `map` wants true or false
    branch.exists(c, true)
        mistake at "branch": `branch` is a string, and only a list or a map has elements
    branch.split("/")[0] == 3
        mistake at "branch.split(\"/\")[0] == 3": `branch.split("/")[0]` is a string and `3` is a whole number: they are never equal (write the number in quotes, or convert with `int(..)`)
    branch.split("/").join("-") == 3
        mistake at "branch.split(\"/\").join(\"-\") == 3": `branch.split("/").join("-")` is a string and `3` is a whole number: they are never equal (write the number in quotes, or convert with `int(..)`)
    [1].join() == ""
        mistake at "[1]": `[1]` is a list, and `join` wants a list of strings
    int(branch) == "3"
        mistake at "int(branch) == \"3\"": `int(branch)` is a whole number and `"3"` is a string: they are never equal (write the number in quotes, or convert with `int(..)`)
    string(matrix.jobs) == "4"
        fine
    bool([]) == true
        mistake at "[]": `[]` is a list, and `bool` wants a string, a number or a boolean
    hash_files("a") == 3
        mistake at "hash_files(\"a\") == 3": `hash_files("a")` is a string and `3` is a whole number: they are never equal (write the number in quotes, or convert with `int(..)`)
    "#);
}

#[test]
fn what_is_not_known_is_let_through() {
    for text in [
        "matrix.rust && true",
        "inputs.x == 3",
        "steps.x.outputs.y == 'a'",
        "matrix.x + 1 > 2",
    ] {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.check_condition(&Untyped), [], "{text}");
    }
}

#[test]
fn results_have_types() {
    let result = |text: &str| Expression::parse(text).unwrap().result_type(&shapes());
    assert_eq!(result("branch"), Type::Text);
    assert_eq!(result("matrix.jobs + 1"), Type::Int);
    assert_eq!(result("success() ? 1 : 'a'"), Type::Any);
    assert_eq!(
        result("branch.split('/')"),
        Type::List(Box::new(Type::Text))
    );
    assert_eq!(result("inputs.level"), Type::Text);
    assert_eq!(result("needs.a.outputs"), Type::Map(Box::new(Type::Text)));
}

#[test]
fn the_values_of_an_axis_have_a_type_in_common_or_none() {
    let of = |json: &str| Type::of(&serde_json::from_str(json).unwrap());
    assert_eq!(of(r#"["a", "b"]"#), Type::List(Box::new(Type::Text)));
    assert_eq!(of(r#"["a", 1]"#), Type::List(Box::new(Type::Any)));
    assert_eq!(
        of("[[1], []]"),
        Type::List(Box::new(Type::List(Box::new(Type::Any))))
    );
    assert_eq!(
        of(r#"[{"a": 1}, {"b": 2}]"#),
        Type::List(Box::new(Type::Map(Box::new(Type::Int))))
    );
}
