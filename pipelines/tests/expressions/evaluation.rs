//! What expressions come to.

use insta::assert_snapshot;
use pipelines::expression::{Expression, Status};
use serde_json::json;

use crate::facts::{Facts, evaluated, run, table};

#[test]
fn variables_operators_and_functions_have_their_values() {
    assert_snapshot!(table(r#"
        branch
        matrix.rust + "-" + job.id
        steps["unit tests"].outputs.passed
        needs.build.outputs.digest
        needs.build.conclusion == "success" && job.status == "success"
        inputs["dry run"]
        tag == ""
        matrix.none == null
        matrix["jo" + "bs"]
        matrix.images[1]
        1 + 2 * 3 - 4 / 2 % 3
        -7 / 2
        -7 % 2
        7.0 / 2.0
        -(-3)
        --3
        !!true
        1 < 2 == true
        1 == 1.0
        9007199254740993 == 9007199254740992.0
        9007199254740993 > 9007199254740992.0
        "a" < "b"
        [1, "a", [true]] + [null]
        {"a": {"b": 1}}.a.b
        "x" in {"x": 1}
        "b" in matrix.images
        2.0 in [1, 2]
        branch == "main" ? "yes" : "no"
        r"\d" + '''it's''' + "\u00e9\x41\101\n\"\\"
        "漢字".size()
        size(matrix.images) + matrix.size()
        branch.contains("ai") && branch.startsWith("ma") && branch.endsWith("in")
        branch.matches("^m.*n$") && matches(branch, "ai")
        "v1.2.3".matches(r"^v\d+(\.\d+){2}$")
        "Ab".lowerAscii() + "Ab".upperAscii() + " x ".trim()
        "release/1.2".replace("/", "-").split(".").join("_")
        "ab".split("")
        ["a"].join()
        string(3) + string(1.5) + string(true) + string("x")
        int("42") + int(2.9) + int(-2.9)
        double("1.5") + double(2)
        bool("true")
        [1, 2, 3].all(n, n > 0)
        [1, 2, 3].exists(n, n > 2)
        [1, 2, 3].exists_one(n, n > 2)
        [1, 2, 3].filter(n, n % 2 == 1)
        [1, 2, 3].map(n, n * n)
        [1, 2, 3].map(n, n > 1, n * n)
        [1, 2].map(a, [3, 4].map(b, a * b))
        matrix.filter(axis, axis.startsWith("r"))
        has(env.LANG) && !has(env.LONG)
        has(steps["unit tests"].outputs.passed)
        success() && !failure() && !cancelled() && always()
        changed("src/**")
        changed("docs/**")
        hash_files("Cargo.lock", "x")
        // nothing but a comment before
    "#, |line| evaluated(line, &run())), @r#"
    branch
        "main"
    matrix.rust + "-" + job.id
        "1.90-test"
    steps["unit tests"].outputs.passed
        "12"
    needs.build.outputs.digest
        "sha256:1"
    needs.build.conclusion == "success" && job.status == "success"
        true
    inputs["dry run"]
        true
    tag == ""
        true
    matrix.none == null
        true
    matrix["jo" + "bs"]
        4
    matrix.images[1]
        "b"
    1 + 2 * 3 - 4 / 2 % 3
        5
    -7 / 2
        -3
    -7 % 2
        -1
    7.0 / 2.0
        3.5
    -(-3)
        3
    --3
        3
    !!true
        true
    1 < 2 == true
        true
    1 == 1.0
        true
    9007199254740993 == 9007199254740992.0
        false
    9007199254740993 > 9007199254740992.0
        true
    "a" < "b"
        true
    [1, "a", [true]] + [null]
        [1,"a",[true],null]
    {"a": {"b": 1}}.a.b
        1
    "x" in {"x": 1}
        true
    "b" in matrix.images
        true
    2.0 in [1, 2]
        true
    branch == "main" ? "yes" : "no"
        "yes"
    r"\d" + '''it's''' + "\u00e9\x41\101\n\"\\"
        "\\dit'séAA\n\"\\"
    "漢字".size()
        2
    size(matrix.images) + matrix.size()
        8
    branch.contains("ai") && branch.startsWith("ma") && branch.endsWith("in")
        true
    branch.matches("^m.*n$") && matches(branch, "ai")
        true
    "v1.2.3".matches(r"^v\d+(\.\d+){2}$")
        true
    "Ab".lowerAscii() + "Ab".upperAscii() + " x ".trim()
        "abABx"
    "release/1.2".replace("/", "-").split(".").join("_")
        "release-1_2"
    "ab".split("")
        ["a","b"]
    ["a"].join()
        "a"
    string(3) + string(1.5) + string(true) + string("x")
        "31.5truex"
    int("42") + int(2.9) + int(-2.9)
        42
    double("1.5") + double(2)
        3.5
    bool("true")
        true
    [1, 2, 3].all(n, n > 0)
        true
    [1, 2, 3].exists(n, n > 2)
        true
    [1, 2, 3].exists_one(n, n > 2)
        true
    [1, 2, 3].filter(n, n % 2 == 1)
        [1,3]
    [1, 2, 3].map(n, n * n)
        [1,4,9]
    [1, 2, 3].map(n, n > 1, n * n)
        [4,9]
    [1, 2].map(a, [3, 4].map(b, a * b))
        [[3,4],[6,8]]
    matrix.filter(axis, axis.startsWith("r"))
        ["ratio","rust"]
    has(env.LANG) && !has(env.LONG)
        true
    has(steps["unit tests"].outputs.passed)
        true
    success() && !failure() && !cancelled() && always()
        true
    changed("src/**")
        true
    changed("docs/**")
        false
    hash_files("Cargo.lock", "x")
        "hash of Cargo.lock and x"
    // nothing but a comment before
        mistake at "": expected a value, but the expression ends here
    "#);
}

#[test]
fn what_cannot_be_computed_is_told_with_its_place() {
    assert_snapshot!(table(r#"
        matrix.os
        matrix.rsut
        env["long"]
        inputs.levle
        needs.biuld.outputs.digest
        needs.build.outputs.digset
        steps.lint.outputs.x
        steps["unit tests"].outputs.failed
        has(steps.lint.outputs.x)
        {"a": 1}.b
        matrix.images[2]
        matrix.images[-1]
        matrix.images["a"]
        matrix[1]
        matrix.jobs.x
        matrix.jobs[0]
        matrix.rust && true
        matrix.jobs && matrix.rust
        !matrix.rust
        matrix.rust ? 1 : 2
        matrix.rust + matrix.jobs
        matrix.rust < matrix.jobs
        matrix.rust in matrix.rust
        -matrix.rust
        1 / 0
        1 % 0
        1.0 / 0.0
        9223372036854775807 + 1
        -(-9223372036854775808)
        1e308 * 10.0
        int("x")
        int(1e300)
        bool("yes")
        double("")
        int(matrix.full)
        matrix.rust.matches("(")
        matrix.rust.matches("(a{100}){100}")
        size(matrix.jobs)
        matrix.jobs.contains("x")
        matrix.images.map(x, x + matrix.jobs)
        [1, "a"].join(",")
        {branch: 1, "main": 2}
        {matrix.jobs: 1}
        matrix.jobs.all(x, true)
        [1].all(x, matrix.rust)
    "#, |line| evaluated(line, &run())), @r#"
    matrix.os
        error at `os`: the matrix has no axis `os` (there are: full, images, jobs, none, ratio, rust)
    matrix.rsut
        error at `rsut`: the matrix has no axis `rsut` (did you mean `rust`?)
    env["long"]
        error at `"long"`: the environment has no variable `long` (there are: LANG)
    inputs.levle
        error at `levle`: there is no input `levle` (did you mean `level`?)
    needs.biuld.outputs.digest
        error at `biuld`: this job needs no job `biuld` (did you mean `build`?)
    needs.build.outputs.digset
        error at `digset`: job `build` has no output `digset` (did you mean `digest`?)
    steps.lint.outputs.x
        error at `lint`: no step before this is called `lint` (there are: unit tests)
    steps["unit tests"].outputs.failed
        error at `failed`: step `unit tests` has no output `failed` (there are: passed)
    has(steps.lint.outputs.x)
        error at `lint`: no step before this is called `lint` (there are: unit tests)
    {"a": 1}.b
        mistake at "b": `{"a": 1}` has no key `b` (there are: a)
    matrix.images[2]
        error at `2`: the list has 2 elements, and none at 2
    matrix.images[-1]
        error at `-1`: the list has 2 elements, and none at -1
    matrix.images["a"]
        error at `"a"`: `"a"` is a string, and a list is indexed by whole numbers
    matrix[1]
        mistake at "1": `1` is a whole number, and a map is indexed by strings
    matrix.jobs.x
        error at `matrix.jobs`: `matrix.jobs` is a whole number, and only a map has a member `x`
    matrix.jobs[0]
        error at `matrix.jobs`: `matrix.jobs` is a whole number, and only a list or a map can be indexed
    matrix.rust && true
        error at `matrix.rust`: `matrix.rust` is a string, and `&&` wants true or false
    matrix.jobs && matrix.rust
        error at `matrix.jobs`: `matrix.jobs` is a whole number, and `&&` wants true or false
    !matrix.rust
        error at `matrix.rust`: `matrix.rust` is a string, and `!` wants true or false
    matrix.rust ? 1 : 2
        error at `matrix.rust`: `matrix.rust` is a string, and `?` wants true or false
    matrix.rust + matrix.jobs
        error at `matrix.rust + matrix.jobs`: `+` cannot take a string and a whole number
    matrix.rust < matrix.jobs
        error at `matrix.rust < matrix.jobs`: `<` cannot take a string and a whole number
    matrix.rust in matrix.rust
        error at `matrix.rust in matrix.rust`: `in` cannot take a string and a string
    -matrix.rust
        error at `matrix.rust`: its operand is a string, and `-` wants a number
    1 / 0
        error at `1 / 0`: division by zero
    1 % 0
        error at `1 % 0`: division by zero
    1.0 / 0.0
        error at `1.0 / 0.0`: division by zero
    9223372036854775807 + 1
        error at `9223372036854775807 + 1`: the result is out of range
    -(-9223372036854775808)
        error at `(-9223372036854775808)`: the result is out of range
    1e308 * 10.0
        error at `1e308 * 10.0`: the result is out of range
    int("x")
        error at `"x"`: "x" cannot be made a whole number
    int(1e300)
        error at `1e300`: a number cannot be made a whole number
    bool("yes")
        error at `"yes"`: "yes" cannot be made a boolean
    double("")
        error at `""`: "" cannot be made a number
    int(matrix.full)
        error at `matrix.full`: a boolean cannot be made a whole number
    matrix.rust.matches("(")
        error at `"("`: no regular expression: found open group without closing ')'
    matrix.rust.matches("(a{100}){100}")
        error at `"(a{100}){100}"`: no regular expression: compiled regex exceeded size limit
    size(matrix.jobs)
        error at `matrix.jobs`: `matrix.jobs` is a whole number, and `size` wants a string, a list or a map
    matrix.jobs.contains("x")
        error at `matrix.jobs`: `matrix.jobs` is a whole number, and `contains` wants a string
    matrix.images.map(x, x + matrix.jobs)
        error at `x + matrix.jobs`: `+` cannot take a string and a whole number
    [1, "a"].join(",")
        error at `[1, "a"]`: `[1, "a"]` is a list, and `join` wants strings in it
    {branch: 1, "main": 2}
        error at `"main"`: the key "main" stands twice in the map
    {matrix.jobs: 1}
        error at `matrix.jobs`: `matrix.jobs` is a whole number, and keys are strings
    matrix.jobs.all(x, true)
        error at `matrix.jobs`: `matrix.jobs` is a whole number, and only a list or a map has elements
    [1].all(x, matrix.rust)
        error at `matrix.rust`: `matrix.rust` is a string, and a condition wants true or false
    "#);
}

#[test]
fn what_is_known_decides_where_it_can() {
    let early = Facts::new(json!({ "event": "push", "matrix": { "a": [1, 2] } }));
    assert_snapshot!(table(r#"
        branch == "main"
        event == "tag" && branch == "main"
        branch == "main" && event == "tag"
        event == "push" || branch == "main"
        branch == "main" || event == "push"
        event == "push" && branch == "main"
        event == "push" ? "a" : branch
        event == "push" ? branch : "a"
        branch == "main" ? 1 : 1
        branch == "main" && 1 / 0 == 1
        event == "tag" && 1 / 0 == 1
        1 / 0 == 1 && event == "tag"
        1 / 0 == 1 || event == "tag"
        success()
        always() || success()
        !success()
        changed("a")
        hash_files("a")
        branch + 1 / 0
        [branch, event].size()
        {"a": branch}
        matrix.a.all(n, n > 1 && branch == "x")
        matrix.a.exists(n, n > 1 || branch == "x")
        matrix.a.map(n, branch)
        matrix.a.filter(n, n > 1)
        matrix.a.exists_one(n, branch == "x")
        matrix.a[size(branch)]
        branch.size()
        [1].map(n, n > 1, branch)
        has(steps.a.outputs)
        -size(branch)
    "#, |line| evaluated(line, &early)), @r#"
    branch == "main"
        unknown
    event == "tag" && branch == "main"
        false
    branch == "main" && event == "tag"
        false
    event == "push" || branch == "main"
        true
    branch == "main" || event == "push"
        true
    event == "push" && branch == "main"
        unknown
    event == "push" ? "a" : branch
        "a"
    event == "push" ? branch : "a"
        unknown
    branch == "main" ? 1 : 1
        unknown
    branch == "main" && 1 / 0 == 1
        unknown
    event == "tag" && 1 / 0 == 1
        false
    1 / 0 == 1 && event == "tag"
        false
    1 / 0 == 1 || event == "tag"
        error at `1 / 0`: division by zero
    success()
        unknown
    always() || success()
        true
    !success()
        unknown
    changed("a")
        unknown
    hash_files("a")
        unknown
    branch + 1 / 0
        mistake at "branch + 1 / 0": `+` cannot take a string (`branch`) and a whole number (`1 / 0`) (`string(..)` makes a string of it)
    [branch, event].size()
        unknown
    {"a": branch}
        unknown
    matrix.a.all(n, n > 1 && branch == "x")
        false
    matrix.a.exists(n, n > 1 || branch == "x")
        true
    matrix.a.map(n, branch)
        unknown
    matrix.a.filter(n, n > 1)
        [2]
    matrix.a.exists_one(n, branch == "x")
        unknown
    matrix.a[size(branch)]
        unknown
    branch.size()
        unknown
    [1].map(n, n > 1, branch)
        []
    has(steps.a.outputs)
        unknown
    -size(branch)
        unknown
    "#);
}

#[test]
fn every_status_is_itself_only() {
    let shown = |status: Status| {
        let facts = Facts::default().status(status);
        evaluated("[success(), failure(), cancelled(), always()]", &facts)
    };
    assert_eq!(shown(Status::Success), "[true,false,false,true]");
    assert_eq!(shown(Status::Failure), "[false,true,false,true]");
    assert_eq!(shown(Status::Cancelled), "[false,false,true,true]");
}

#[test]
fn a_condition_holds_or_not_or_cannot_be_told() {
    let holds = |text: &str, facts: &Facts| {
        let expression = Expression::parse(text).unwrap();
        expression.holds(facts).map_err(|error| error.to_string())
    };
    assert_eq!(holds("branch == 'main'", &run()), Ok(Some(true)));
    assert_eq!(holds("branch == 'dev'", &run()), Ok(Some(false)));
    assert_eq!(holds("branch == 'dev'", &Facts::default()), Ok(None));
    let error = holds("matrix.jobs", &run()).unwrap_err();
    assert_eq!(
        error,
        "`matrix.jobs`: it is a whole number, and `if` wants true or false"
    );
}

#[test]
fn a_reason_tells_what_the_variables_were() {
    let explain = |text: &str| Expression::parse(text).unwrap().explain(&run());
    assert_snapshot!(explain("branch == 'dev' && branch != tag"), @r#"branch is "main", tag is """#);
    assert_snapshot!(explain("matrix.jobs > 4 || steps['unit tests'].conclusion == 'x'"), @r#"matrix.jobs is 4, steps['unit tests'].conclusion is "failure""#);
    assert_snapshot!(explain("matrix.images == [] || matrix.none == 1 || size(env) > 9"), @"matrix.none is null");
    let long = Facts::new(json!({ "branch": "é".repeat(100) }));
    let told = Expression::parse("branch == tag").unwrap().explain(&long);
    assert_eq!(told, format!("branch is \"{}…\"", "é".repeat(60)));
}
